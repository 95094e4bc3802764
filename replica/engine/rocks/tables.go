package rocks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/arionkv/arion/replica/engine"
)

// The end of a table, as RocksDB writes it since format 1 (table/format.cc):
//
//	properties │ type, checksum │ metaindex │ type, checksum │ footer
//	footer: checksum type u8 │ metaindex at varint, length varint │ index …, 40 bytes │ version u32 │ magic u64
//
// A block ends with the number of its restart points, u32; the highest bit says that
// a hash index stands before it. Numbers are little endian.
const (
	footerBytes  = 1 + 40 + 4 + 8
	trailerBytes = 1 + 4
	tableMagic   = 0x88e241b785f4cff7
)

// checkTables finds the damage that would end the process. RocksDB parses the block of
// properties before it verifies its checksum, and asserts, in Debian's build, that the
// hash index which a damaged bit announces is there. Properties never have one. All
// other damage is found by RocksDB.
func checkTables(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for _, name := range names {
		hashed, err := propertiesHashed(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted meanwhile, as obsolete ones are
		case err != nil:
			return err
		case hashed:
			return fmt.Errorf("%w: block of properties of %s", engine.ErrCorruption, name)
		}
	}
	return nil
}

// propertiesHashed reports whether the properties claim a hash index. Of a file that
// is no table it says no.
func propertiesHashed(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() < footerBytes {
		return false, err
	}
	footer := make([]byte, footerBytes)
	if _, err := f.ReadAt(footer, info.Size()-footerBytes); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	metaindex, n := binary.Uvarint(footer[1:41])
	end := int64(metaindex) - trailerBytes
	if binary.LittleEndian.Uint64(footer[45:]) != tableMagic || n <= 0 || end < 4 || end > info.Size() {
		return false, nil
	}
	var restarts [4]byte
	_, err = f.ReadAt(restarts[:], end-4)
	return err == nil && restarts[3]&0x80 != 0, err
}
