package cursor_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/arionkv/arion/internal/cursor"
)

var errMessage = errors.New("message")

func TestReadsWhatWasWritten(t *testing.T) {
	b := append([]byte{7}, binary.AppendUvarint(nil, 1<<40)...)
	b = binary.AppendVarint(b, -3)
	b = append(binary.AppendUvarint(b, 2), "hi"...)
	c := cursor.New(b, errMessage)
	if v := c.Byte(); v != 7 {
		t.Errorf("byte %d", v)
	}
	if v := c.Uint(); v != 1<<40 {
		t.Errorf("uint %d", v)
	}
	if v := c.Int(); v != -3 {
		t.Errorf("int %d", v)
	}
	if s := c.Text(c.Count(1)); s != "hi" {
		t.Errorf("text %q", s)
	}
	if err := c.Finish(); err != nil {
		t.Error(err)
	}
}

// TestFaults gives each read what it cannot read: the error says so, and reads
// behind it give zero.
func TestFaults(t *testing.T) {
	endless := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}
	for name, tc := range map[string]struct {
		in   []byte
		read func(*cursor.Cursor)
		want string
	}{
		"short":     {nil, func(c *cursor.Cursor) { c.Byte() }, "short"},
		"cut":       {[]byte{0x80}, func(c *cursor.Cursor) { c.Uint() }, "number"},
		"too large": {endless, func(c *cursor.Cursor) { c.Uint() }, "number"},
		"signed":    {endless, func(c *cursor.Cursor) { c.Int() }, "number"},
		"text":      {[]byte("ab"), func(c *cursor.Cursor) { c.Text(3) }, "text"},
		"count":     {[]byte{3, 1, 2, 3, 4, 5}, func(c *cursor.Cursor) { c.Count(2) }, "count"},
		"left over": {[]byte{1, 2}, func(c *cursor.Cursor) { c.Byte() }, "trailing"},
	} {
		c := cursor.New(tc.in, errMessage)
		tc.read(&c)
		err := c.Finish()
		if !errors.Is(err, errMessage) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v", name, err)
		}
		if c.OK() || c.Len() != 0 || c.Byte() != 0 || c.Uint() != 0 || c.Int() != 0 || c.Text(1) != "" || c.Count(1) != 0 {
			t.Errorf("%s: reads on after the fault", name)
		}
		if c.Finish() != err {
			t.Errorf("%s: the first fault does not stick", name)
		}
	}
}
