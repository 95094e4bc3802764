package key

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestAppend(t *testing.T) {
	for _, tc := range []struct{ hash, sort, want string }{
		{"hkey1", "skey1", "00 05 68 6b 65 79 31 73 6b 65 79 31"},
		{"hkey1", "", "00 05 68 6b 65 79 31"},
		{"", "a", "00 00 61"},
		{"", "", "00 00"},
	} {
		got := Append([]byte("x"), []byte(tc.hash), []byte(tc.sort))
		require.Equal(t, append([]byte("x"), unhex(t, tc.want)...), got)
		hash, sort, err := Decode(got[1:])
		require.NoError(t, err)
		require.Equal(t, tc.hash, string(hash))
		require.Equal(t, tc.sort, string(sort))
	}
}

func TestLongestHashKey(t *testing.T) {
	longest := bytes.Repeat([]byte{1}, MaxHashKeyLen)
	hash, sort, err := Decode(Append(nil, longest, []byte("s")))
	require.NoError(t, err)
	require.Len(t, hash, MaxHashKeyLen)
	require.Equal(t, "s", string(sort))
	require.Panics(t, func() { Append(nil, append(longest, 1), nil) })
}

func TestDecodeMalformed(t *testing.T) {
	tooLong := append([]byte{0xff, 0xff}, make([]byte, 70000)...)
	for _, in := range [][]byte{nil, {0}, {0, 1}, {0, 5, 'a', 'b'}, {0xff, 0xff}, tooLong} {
		_, _, err := Decode(in)
		require.ErrorIs(t, err, ErrMalformed, "%x", in[:min(len(in), 4)])
		_, err = HashOf(in)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

// A caller that appends to the hash key must not write over the sort key.
func TestDecodeDoesNotLendTheTail(t *testing.T) {
	in := Append(nil, []byte("h"), []byte("s"))
	hash, sort, err := Decode(in)
	require.NoError(t, err)
	_ = append(hash, 'X')
	require.Equal(t, "s", string(sort))
}

func TestHash(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, tc := range []struct {
		in   string
		want uint64
		mod  [4]int32 // of 4, 8, 16, 64 partitions
	}{
		{"", 0, [4]int32{0, 0, 0, 0}},
		{"a", 0x8c2f8445b4cbfc3c, [4]int32{0, 4, 12, 60}},
		{"1", 0x2395a1c3461bbed2, [4]int32{2, 2, 2, 18}},
		{"abc", 0x05e5cabb3fc1faeb, [4]int32{3, 3, 11, 43}},
		{"hkey1", 0x03f86f9abab28f63, [4]int32{3, 3, 3, 35}},
		{"hkey2", 0x824b7ec2eaec14e8, [4]int32{0, 0, 8, 40}},
		{"hkey3", 0xfd258e0adad99d91, [4]int32{1, 1, 1, 17}},
		{"hash_key", 0x65641f36e9f6a96d, [4]int32{1, 5, 13, 45}},
		{"pegasus", 0xce8709cfbd3973c4, [4]int32{0, 4, 4, 4}},
		{"123456789", 0xae8b14860a799888, [4]int32{0, 0, 8, 8}},
		{"\x00", 0xd5da5047efec8728, [4]int32{0, 0, 8, 40}},
		{"\xff", 0xff00000000000000, [4]int32{0, 0, 0, 0}},
		{"\x00\x01\x02\x03", 0x29513a0b0028dea8, [4]int32{0, 0, 8, 40}},
		{"\xff\xff", 0xffff000000000000, [4]int32{0, 0, 0, 0}},
		{string(all), 0xff71e21279d9966e, [4]int32{2, 6, 14, 46}},
		{"The quick brown fox jumps over the lazy dog", 0xd76c54054954c143, [4]int32{3, 3, 3, 3}},
		{"\xe4\xbd\xa0\xe5\xa5\xbd", 0xdb5eb5ab2034397b, [4]int32{3, 3, 11, 59}},
		{strings.Repeat("0", 1000), 0x75fa7aca72354533, [4]int32{3, 3, 3, 51}},
	} {
		got := Hash([]byte(tc.in), []byte("ignored"))
		if tc.in == "" {
			got = Hash(nil, nil)
		}
		require.Equal(t, tc.want, got, "hash of %.20q", tc.in)
		for i, count := range []int32{4, 8, 16, 64} {
			require.Equal(t, tc.mod[i], PartitionIndex(got, count), "%.20q of %d", tc.in, count)
		}
	}
}

func TestHashOfWholeKeys(t *testing.T) {
	for _, tc := range []struct {
		hash, sort string
		want       uint64
		of8        int32
	}{
		{"", "skey1", 0xf934ede0ebaa7787, 7},
		{"", "a", 0x8c2f8445b4cbfc3c, 4},
		{"", "", 0, 0},
		{"user_1", "x", 0x9ce68171e0151387, 7},
		{"pegasus", "k", 0xce8709cfbd3973c4, 4},
	} {
		got, err := HashOf(Append(nil, []byte(tc.hash), []byte(tc.sort)))
		require.NoError(t, err)
		require.Equal(t, tc.want, got)
		require.Equal(t, tc.of8, PartitionIndex(got, 8))
	}
}

func TestSuccessor(t *testing.T) {
	for _, tc := range []struct{ hash, sort, want string }{
		{"", "", "00 01"},
		{"61", "", "00 01 62"},
		{"61 ff", "", "00 02 62"},
		{"ff", "", "00 02"},
		{"ff ff", "", "00 03"},
		{strings.Repeat("ff", 255), "", "01"},
		{"68", "73", "00 01 68 74"},
		{"68", "ff", "00 01 69"},
		{"68", "", "00 01 69"},
	} {
		in := Append(nil, unhex(t, tc.hash), unhex(t, tc.sort))
		before := bytes.Clone(in)
		require.Equal(t, unhex(t, tc.want), Successor(in), "%.8s/%s", tc.hash, tc.sort)
		require.Equal(t, before, in, "input changed")
	}
	require.Nil(t, Successor(nil))
	require.Nil(t, Successor([]byte{0xff, 0xff}))
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 1, 'h', 's'})
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		hash, sort, err := Decode(in)
		if err != nil {
			return
		}
		if got := Append(nil, hash, sort); !bytes.Equal(got, in) {
			t.Fatalf("%x decodes and encodes to %x", in, got)
		}
		if next := Successor(in); next != nil && bytes.Compare(next, in) <= 0 {
			t.Fatalf("successor %x of %x is not greater", next, in)
		}
	})
}
