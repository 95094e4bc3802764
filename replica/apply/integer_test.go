package apply

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseInt(t *testing.T) {
	tests := []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"1", 1, true}, {"-1", -1, true}, {"+12", 12, true},
		{" 12", 12, true}, {" \t\n\v\f\r-12", -12, true}, {"12 ", 0, false}, {"- 12", 0, false},
		{"", 0, false}, {" ", 0, false}, {"+", 0, false}, {"-", 0, false}, {"+-1", 0, false},
		{"12x", 0, false}, {"x", 0, false}, {"1_000", 0, false}, {"12\x00", 0, false},
		{"0x10", 16, true}, {"0X1f", 31, true}, {"-0xFf", -255, true},
		{"0x", 0, false}, {"0xg", 0, false}, {"x10", 0, false}, {"0x-1", 0, false}, {"0x0x1", 0, false},
		{"0012", 10, true}, {"-017", -15, true}, {"00", 0, true}, {"-0", 0, true}, {"08", 0, false}, {"0b1", 0, false},
		{"9223372036854775807", math.MaxInt64, true}, {"9223372036854775808", 0, false},
		{"-9223372036854775808", math.MinInt64, true}, {"-9223372036854775809", 0, false},
		{"0x7fffffffffffffff", math.MaxInt64, true}, {"0x8000000000000000", 0, false},
		{"-0x8000000000000000", math.MinInt64, true},
		{"18446744073709551616", 0, false}, {"99999999999999999999999", 0, false},
		{"0000000000000000000000000000000000001", 1, true},
		{"1e3", 0, false}, {"1.0", 0, false}, {"\xc2\xa01", 0, false},
	}
	for _, tt := range tests {
		t.Run(strconv.Quote(tt.in), func(t *testing.T) {
			if got, ok := parseInt([]byte(tt.in)); got != tt.want || ok != tt.ok {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// FuzzParseInt compares with strconv, which knows 0x and 0o prefixes but not
// C's white space and octal.
func FuzzParseInt(f *testing.F) {
	f.Add("-0x8000000000000000")
	f.Add(" +077")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseInt([]byte(s))
		want, err := strconv.ParseInt(asGo(s), 0, 64)
		if ok != (err == nil) || ok && got != want {
			t.Fatalf("%q: got %d, %v, want %d, %v", s, got, ok, want, err)
		}
	})
}

// asGo rewrites a number in C's text form for strconv, or returns "".
func asGo(s string) string {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	digits := strings.TrimLeft(s, "+-")
	if strings.ContainsAny(digits, "_oObB+-") && !strings.HasPrefix(strings.ToLower(digits), "0x") || strings.Contains(digits, "_") {
		return ""
	}
	if len(s)-len(digits) > 1 {
		return ""
	}
	if len(digits) > 1 && digits[0] == '0' && digits[1]|0x20 != 'x' {
		return s[:len(s)-len(digits)] + "0o" + digits[1:]
	}
	return s
}
