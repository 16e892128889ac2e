// Package units reads sizes and durations as people write them, in flags and
// documents.
package units

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"
)

var (
	errSize     = errors.New("not a size such as 1048576, 64KiB or 100MB")
	errDuration = errors.New("not a duration such as 10s, 1h30m or 7d")
)

var sizes = map[string]int64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}

// Size reads a number of bytes, which is not negative: 1048576, 64KiB, 100MB.
func Size(text string) (int64, error) {
	digits := strings.TrimRight(text, "BbKkMmGgIi")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, ok := sizes[strings.ToLower(text[len(digits):])]
	if err != nil || !ok || n < 0 || n > (1<<62)/unit {
		return 0, errSize
	}
	return n * unit, nil
}

// Duration reads what [time.ParseDuration] does, and days before it: 7d, 1d12h,
// -1d. It may be 0 or less.
func Duration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	before, rest, ok := strings.Cut(text, "d")
	if !ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	sign := time.Duration(1)
	if digits, negative := strings.CutPrefix(before, "-"); negative {
		sign, before = -1, digits
	}
	days, err := strconv.ParseUint(before, 10, 16) // 179 years, far from overflow
	if err != nil {
		return 0, errDuration
	}
	d, err := time.ParseDuration(cmp.Or(rest, "0s"))
	if err != nil || d < 0 || d > day {
		return 0, errDuration
	}
	return sign * (time.Duration(days)*day + d), nil
}
