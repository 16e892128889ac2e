package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/units"
	"github.com/slogworks/slogworks/rotate"
)

var errSchedule = errors.New("has to be hourly, daily, daily 03:00, weekly monday 03:00 or every 15m, and may end in UTC or the name of a time zone")

// schedule says when a file is rotated. It is nil if there is none.
type schedule struct{ rotate.Schedule }

var weekdays = map[string]time.Weekday{
	"sunday": time.Sunday, "monday": time.Monday, "tuesday": time.Tuesday, "wednesday": time.Wednesday,
	"thursday": time.Thursday, "friday": time.Friday, "saturday": time.Saturday,
}

// UnmarshalText reads WHEN [DAY] [HH:MM] [ZONE].
func (s *schedule) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) == 0 {
		return errSchedule
	}
	when, words := strings.ToLower(words[0]), words[1:]
	if when == "every" {
		if len(words) != 1 {
			return errSchedule
		}
		d, err := units.Duration(words[0])
		if err != nil || d <= 0 {
			return errSchedule
		}
		s.Schedule = rotate.Every(d)
		return nil
	}
	var day time.Weekday
	if when == "weekly" {
		if len(words) == 0 {
			return errSchedule
		}
		var ok bool
		if day, ok = weekdays[strings.ToLower(words[0])]; !ok {
			return errSchedule
		}
		words = words[1:]
	}
	var at time.Time // midnight
	if when != "hourly" && len(words) > 0 {
		if t, err := time.Parse("15:04", words[0]); err == nil {
			at, words = t, words[1:]
		}
	}
	loc := time.Local
	if len(words) > 0 {
		zone, err := time.LoadLocation(words[0])
		if err != nil || len(words) > 1 {
			return fmt.Errorf("%w: unknown %q", errSchedule, words[0])
		}
		loc = zone
	}
	switch when {
	case "hourly":
		s.Schedule = rotate.Hourly(loc)
	case "daily":
		s.Schedule = rotate.Daily(at.Hour(), at.Minute(), loc)
	case "weekly":
		s.Schedule = rotate.Weekly(day, at.Hour(), at.Minute(), loc)
	default:
		return errSchedule
	}
	return nil
}
