package rotate

import (
	"fmt"
	"time"
)

// Schedule says when files are rotated. Next returns the first such time after
// the given one; the zero time, or one that is not after it, means never.
//
// A file that was last written to before such a time is rotated by the first
// record after it, once, however many such times have passed: after a weekend
// without records or without power there is one backup and not three. A file
// that nobody writes to is not rotated, and neither is an empty one.
//
// Next is called with the file locked: it must not log to the file.
type Schedule interface {
	Next(after time.Time) time.Time
}

// Every rotates at the multiples of d since 1970-01-01 00:00 UTC, whatever the
// time zone: Every(15*time.Minute) at :00, :15, :30 and :45. It never rotates if
// d is not positive.
func Every(d time.Duration) Schedule { return every(d) }

// Hourly rotates when an hour begins in loc, time.Local if loc is nil. An hour
// that comes twice when clocks are set back begins twice; one whose beginning
// is skipped begins right after what is skipped.
func Hourly(loc *time.Location) Schedule { return hourly{orLocal(loc)} }

// Daily rotates once per calendar day, at hour:min in loc, time.Local if loc is
// nil. When clocks are set forward over that time, it is the first instant
// after; when they are set back over it, so that it comes twice, the first.
// Numbers that no clock shows count as 0.
func Daily(hour, min int, loc *time.Location) Schedule {
	return calendar{clock(hour, 23), clock(min, 59), orLocal(loc), everyDay}
}

// Weekly rotates on that day of each week, at hour:min in loc as [Daily] does.
func Weekly(day time.Weekday, hour, min int, loc *time.Location) Schedule {
	return calendar{clock(hour, 23), clock(min, 59), orLocal(loc), (day%7 + 7) % 7}
}

func orLocal(loc *time.Location) *time.Location {
	if loc == nil {
		return time.Local
	}
	return loc
}

func clock(n, highest int) int {
	if n < 0 || n > highest {
		return 0
	}
	return n
}

type every time.Duration

func (e every) String() string { return "every " + time.Duration(e).String() }

func (e every) Next(after time.Time) time.Time {
	if e <= 0 {
		return time.Time{}
	}
	past := after.UnixNano() % int64(e)
	if past < 0 {
		past += int64(e)
	}
	return after.Round(0).Add(time.Duration(int64(e) - past))
}

type hourly struct{ loc *time.Location }

func (h hourly) String() string { return "hourly " + h.loc.String() }

func (h hourly) Next(after time.Time) time.Time {
	const hour = 3600
	_, offset := after.In(h.loc).Zone()
	wall := after.Unix() + int64(offset)
	next := time.Unix(wall-wall%hour+hour-int64(offset), 0).In(h.loc)
	_, end := after.In(h.loc).ZoneBounds()
	if end.IsZero() || next.Before(end) {
		return next
	}
	// The clocks change before the hour is over.
	_, changed := end.Zone()
	before, then := end.Unix()+int64(offset), end.Unix()+int64(changed)
	if firstHour := (before + hour - 1) / hour * hour; then%hour == 0 || before <= firstHour && firstHour <= then {
		return end
	}
	return h.Next(end)
}

// calendar rotates at a time of the day.
type calendar struct {
	hour, min int
	loc       *time.Location
	day       time.Weekday // or everyDay
}

const everyDay time.Weekday = -1

func (c calendar) String() string {
	day := "daily"
	if c.day != everyDay {
		day = c.day.String()
	}
	return fmt.Sprintf("%s %02d:%02d %s", day, c.hour, c.min, c.loc)
}

func (c calendar) Next(after time.Time) time.Time {
	year, month, day := after.In(c.loc).Date()
	for ; ; day++ {
		date := time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
		if c.day != everyDay && c.day != date.Weekday() {
			continue
		}
		// A day that a country skipped to cross the date line is no calendar
		// day. A week that has lost its day is a week nevertheless.
		if c.day == everyDay && instant(year, month, day, 0, 0, c.loc).In(c.loc).Day() != date.Day() {
			continue
		}
		if t := instant(year, month, day, c.hour, c.min, c.loc); t.After(after) {
			return t
		}
	}
}

// instant returns when clocks in loc first show that time, or go past it.
// time.Date does not promise which instant it returns for a time that comes
// twice or never.
func instant(year int, month time.Month, day, hour, min int, loc *time.Location) time.Time {
	wall := time.Date(year, month, day, hour, min, 0, 0, time.UTC)
	// No zone is as far as two days from UTC.
	for zone := wall.Add(-48 * time.Hour).In(loc); ; {
		_, offset := zone.Zone()
		start, end := zone.ZoneBounds()
		t := wall.Add(-time.Duration(offset) * time.Second).In(loc)
		switch {
		case t.Before(start):
			return start
		case end.IsZero() || t.Before(end):
			return t
		}
		zone = end
	}
}
