package rotate_test

import (
	"testing"
	"time"

	"github.com/slogworks/slogworks/rotate"
)

const zoned = "2006-01-02 15:04:05 -07:00"

// checkSchedule checks the times that a schedule gives one after the other.
func checkSchedule(t *testing.T, s rotate.Schedule, loc *time.Location, after string, want ...string) {
	t.Helper()
	at, err := time.Parse(zoned, after)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		next := s.Next(at)
		if got := next.In(loc).Format(zoned); got != w {
			t.Fatalf("after %s it is %s, want %s", at.In(loc).Format(zoned), got, w)
		}
		// All that is before gives the same, down to the last nanosecond.
		if again := s.Next(next.Add(-1)); !again.Equal(next) {
			t.Fatalf("just before %s it is %s", w, again.In(loc).Format(zoned))
		}
		at = next
	}
}

func TestSchedule_acrossChangesOfTheClock(t *testing.T) {
	type schedule = func(*time.Location) rotate.Schedule
	daily := func(hour, min int) schedule {
		return func(loc *time.Location) rotate.Schedule { return rotate.Daily(hour, min, loc) }
	}
	weekly := func(day time.Weekday, hour, min int) schedule {
		return func(loc *time.Location) rotate.Schedule { return rotate.Weekly(day, hour, min, loc) }
	}
	for _, test := range []struct {
		name, zone string
		schedule   schedule
		after      string
		want       []string
	}{
		{"New York, a time that is skipped", "America/New_York", daily(2, 30), "2024-03-08 12:00:00 -05:00",
			[]string{"2024-03-09 02:30:00 -05:00", "2024-03-10 03:00:00 -04:00", "2024-03-11 02:30:00 -04:00"}},
		{"New York, a time that comes twice", "America/New_York", daily(1, 30), "2024-11-02 12:00:00 -04:00",
			[]string{"2024-11-03 01:30:00 -04:00", "2024-11-04 01:30:00 -05:00"}},
		{"New York, midnight around both", "America/New_York", daily(0, 0), "2024-03-09 12:00:00 -05:00",
			[]string{"2024-03-10 00:00:00 -05:00", "2024-03-11 00:00:00 -04:00"}},
		{"Cairo, a day without midnight", "Africa/Cairo", daily(0, 0), "2024-04-24 12:00:00 +02:00",
			[]string{"2024-04-25 00:00:00 +02:00", "2024-04-26 01:00:00 +03:00", "2024-04-27 00:00:00 +03:00"}},
		{"Cairo, the end of a day that comes twice", "Africa/Cairo", daily(23, 30), "2024-10-31 12:00:00 +03:00",
			[]string{"2024-10-31 23:30:00 +03:00", "2024-11-01 23:30:00 +02:00"}},
		{"Beirut, a day without midnight", "Asia/Beirut", daily(0, 0), "2022-03-26 12:00:00 +02:00",
			[]string{"2022-03-27 01:00:00 +03:00", "2022-03-28 00:00:00 +03:00"}},
		{"Havana, a day with two midnights", "America/Havana", daily(0, 0), "2024-11-02 12:00:00 -04:00",
			[]string{"2024-11-03 00:00:00 -04:00", "2024-11-04 00:00:00 -05:00"}},
		{"Apia, a day that is skipped", "Pacific/Apia", daily(12, 0), "2011-12-28 18:00:00 -10:00",
			[]string{"2011-12-29 12:00:00 -10:00", "2011-12-31 12:00:00 +14:00", "2012-01-01 12:00:00 +14:00"}},
		{"Apia, midnight of that day", "Pacific/Apia", daily(0, 0), "2011-12-28 18:00:00 -10:00",
			[]string{"2011-12-29 00:00:00 -10:00", "2011-12-31 00:00:00 +14:00", "2012-01-01 00:00:00 +14:00"}},
		{"Apia, a week whose Friday is skipped", "Pacific/Apia", weekly(time.Friday, 12, 0), "2011-12-23 13:00:00 -10:00",
			[]string{"2011-12-31 00:00:00 +14:00", "2012-01-06 12:00:00 +14:00"}},
		{"Lord Howe, half an hour that is skipped", "Australia/Lord_Howe", daily(2, 15), "2024-10-05 12:00:00 +10:30",
			[]string{"2024-10-06 02:30:00 +11:00", "2024-10-07 02:15:00 +11:00"}},
		{"Lord Howe, half an hour that comes twice", "Australia/Lord_Howe", daily(1, 45), "2024-04-06 12:00:00 +11:00",
			[]string{"2024-04-07 01:45:00 +11:00", "2024-04-08 01:45:00 +10:30"}},
		{"Berlin, a week with a skipped hour", "Europe/Berlin", weekly(time.Sunday, 2, 0), "2024-03-25 00:00:00 +01:00",
			[]string{"2024-03-31 03:00:00 +02:00", "2024-04-07 02:00:00 +02:00"}},

		{"New York, hours when one is skipped", "America/New_York", rotate.Hourly, "2024-03-10 00:30:00 -05:00",
			[]string{"2024-03-10 01:00:00 -05:00", "2024-03-10 03:00:00 -04:00", "2024-03-10 04:00:00 -04:00"}},
		{"New York, hours when one comes twice", "America/New_York", rotate.Hourly, "2024-11-03 00:30:00 -04:00",
			[]string{"2024-11-03 01:00:00 -04:00", "2024-11-03 01:00:00 -05:00", "2024-11-03 02:00:00 -05:00"}},
		{"Lord Howe, hours when half of one is skipped", "Australia/Lord_Howe", rotate.Hourly, "2024-10-06 00:30:00 +10:30",
			[]string{"2024-10-06 01:00:00 +10:30", "2024-10-06 02:30:00 +11:00", "2024-10-06 03:00:00 +11:00"}},
		{"Lord Howe, hours when half of one comes twice", "Australia/Lord_Howe", rotate.Hourly, "2024-04-07 00:30:00 +11:00",
			[]string{"2024-04-07 01:00:00 +11:00", "2024-04-07 02:00:00 +10:30", "2024-04-07 03:00:00 +10:30"}},
		{"Kolkata, hours of a zone of half hours", "Asia/Kolkata", rotate.Hourly, "2024-04-07 00:30:00 +05:30",
			[]string{"2024-04-07 01:00:00 +05:30", "2024-04-07 02:00:00 +05:30"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			loc, err := time.LoadLocation(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			checkSchedule(t, test.schedule(loc), loc, test.after, test.want...)
		})
	}
}

func TestDaily_isOncePerCalendarDay(t *testing.T) {
	for _, zone := range []string{"UTC", "America/New_York", "Africa/Cairo", "Asia/Beirut", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, minute := range []int{0, 30, 61, 135, 23*60 + 59} {
			s := rotate.Daily(minute/60, minute%60, loc)
			days := map[string]bool{}
			end := time.Date(2013, 1, 1, 0, 0, 0, 0, loc)
			for at := s.Next(time.Date(2011, 1, 1, 0, 0, 0, -1, loc)); at.Before(end); at = s.Next(at) {
				day := at.In(loc).Format(time.DateOnly)
				if days[day] {
					t.Errorf("%s, %d minutes after midnight: twice on %s", zone, minute, day)
				}
				days[day] = true
			}
			want := 365 + 366
			if zone == "Pacific/Apia" {
				want-- // 2011-12-30
			}
			if len(days) != want {
				t.Errorf("%s, %d minutes after midnight: on %d days of 2011 and 2012, want %d", zone, minute, len(days), want)
			}
		}
	}
}

func TestEvery_countsFromTheEpoch(t *testing.T) {
	checkSchedule(t, rotate.Every(15*time.Minute), time.UTC, "2024-03-10 10:07:00 +00:00",
		"2024-03-10 10:15:00 +00:00", "2024-03-10 10:30:00 +00:00")
	checkSchedule(t, rotate.Every(7*time.Hour), time.UTC, "1970-01-01 07:00:00 +00:00", "1970-01-01 14:00:00 +00:00")
	checkSchedule(t, rotate.Every(time.Hour), time.UTC, "1969-12-31 23:30:00 +00:00", "1970-01-01 00:00:00 +00:00")
	for _, d := range []time.Duration{0, -time.Hour} {
		if got := rotate.Every(d).Next(time.Now()); !got.IsZero() {
			t.Errorf("every %v is at %v", d, got)
		}
	}
}

func TestSchedule_ofNoLocationIsLocal(t *testing.T) {
	local := time.Local
	t.Cleanup(func() { time.Local = local })
	time.Local = time.FixedZone("", 3*3600+1800)
	const after = "2024-03-10 10:07:00 +03:30"
	checkSchedule(t, rotate.Daily(9, 0, nil), time.Local, after, "2024-03-11 09:00:00 +03:30")
	checkSchedule(t, rotate.Weekly(time.Sunday, 9, 0, nil), time.Local, after, "2024-03-17 09:00:00 +03:30")
	checkSchedule(t, rotate.Hourly(nil), time.Local, after, "2024-03-10 11:00:00 +03:30")
	t.Run("and numbers that no clock shows are 0", func(t *testing.T) {
		checkSchedule(t, rotate.Daily(24, 60, nil), time.Local, after, "2024-03-11 00:00:00 +03:30")
		checkSchedule(t, rotate.Daily(-1, -1, nil), time.Local, after, "2024-03-11 00:00:00 +03:30")
		checkSchedule(t, rotate.Weekly(-7, 24, 0, nil), time.Local, after, "2024-03-17 00:00:00 +03:30")
	})
}
