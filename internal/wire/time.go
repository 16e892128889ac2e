package wire

import "time"

// parseTime reads a time as time.RFC3339Nano writes it: years may have more than
// four digits or be negative. Like time.Parse, it puts a time that has the
// offset of this machine into time.Local.
func parseTime(s string) (time.Time, bool) {
	sign := 1
	if s != "" && s[0] == '-' {
		sign, s = -1, s[1:]
	}
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits < 4 || digits > maxYear || len(s) < digits+len("-01-02T15:04:05Z") {
		return time.Time{}, false
	}
	year, rest := sign*atoi(s[:digits]), s[digits:]
	if !isClock(rest) {
		return time.Time{}, false
	}
	month, day := atoi(rest[1:3]), atoi(rest[4:6])
	hour, minute, second := atoi(rest[7:9]), atoi(rest[10:12]), atoi(rest[13:15])
	if month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	nanos, rest, ok := fraction(rest[15:])
	if !ok {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if t.Day() != day {
		return time.Time{}, false
	}
	return inZone(t, rest)
}

// maxYear is how many digits the year of the last time has that there is.
const maxYear = 12

// isClock reports whether s begins like -01-02T15:04:05.
func isClock(s string) bool {
	const layout = "-00-00T00:00:00"
	for i := range len(layout) {
		if layout[i] == '0' && !isDigit(s[i]) || layout[i] != '0' && s[i] != layout[i] {
			return false
		}
	}
	return true
}

// fraction reads up to nine digits of a second, if there are any.
func fraction(s string) (nanos int, rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return 0, s, true
	}
	i := 1
	for ; i < len(s) && i <= 9 && isDigit(s[i]); i++ {
		nanos = nanos*10 + int(s[i]-'0')
	}
	if i == 1 {
		return 0, "", false
	}
	for n := i; n <= 9; n++ {
		nanos *= 10
	}
	return nanos, s[i:], true
}

// inZone takes t as the time that a clock shows in the zone Z or ±15:04.
func inZone(t time.Time, zone string) (time.Time, bool) {
	if zone == "Z" {
		return t, true
	}
	if len(zone) != len("+15:04") || zone[3] != ':' || !areDigits(zone[1:3]) || !areDigits(zone[4:]) {
		return time.Time{}, false
	}
	hours, minutes := atoi(zone[1:3]), atoi(zone[4:])
	if hours > 23 || minutes > 59 {
		return time.Time{}, false
	}
	offset := hours*3600 + minutes*60
	switch zone[0] {
	case '+':
	case '-':
		offset = -offset
	default:
		return time.Time{}, false
	}
	t = t.Add(-time.Duration(offset) * time.Second)
	if offset == 0 {
		return t, true
	}
	local := t.Local()
	if _, here := local.Zone(); here == offset {
		return local, true
	}
	return t.In(time.FixedZone("", offset)), true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func areDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// atoi reads digits.
func atoi(s string) int {
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}
