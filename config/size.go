package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written in files as a number with a unit: B, KB,
// MB, GB or TB, each 1024 times the one before.
type Size int64

// The units of a Size.
const (
	KB Size = 1 << 10
	MB Size = 1 << 20
	GB Size = 1 << 30
	TB Size = 1 << 40
)

// sizeUnits goes from large to small: String takes the first that divides
// evenly, ParseSize the first suffix that matches, so "B" must come last.
var sizeUnits = []struct {
	suffix string
	bytes  Size
}{{"TB", TB}, {"GB", GB}, {"MB", MB}, {"KB", KB}, {"B", 1}}

// ParseSize reads "64MB". Only zero may come without a unit, so that a bare
// number is never taken for the wrong one.
func ParseSize(text string) (Size, error) {
	text = strings.TrimSpace(text)
	if text == "0" {
		return 0, nil
	}
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(strings.ToUpper(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > int64((1<<63-1)/u.bytes) {
			return 0, fmt.Errorf("%q is not a size", text)
		}
		return Size(n) * u.bytes, nil
	}
	return 0, fmt.Errorf("%q needs a unit: B, KB, MB, GB or TB", text)
}

// UnmarshalText lets the loader turn text into a Size.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	*s = v
	return err
}

// MarshalText writes the form that ParseSize reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits {
		if s%u.bytes == 0 {
			return fmt.Sprintf("%d%s", s/u.bytes, u.suffix)
		}
	}
	return "" // unreachable: every number is a multiple of one byte
}
