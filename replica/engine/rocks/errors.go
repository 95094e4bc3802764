package rocks

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/arionkv/arion/replica/engine"
)

// errPaused is RocksDB's answer to a cancelled compaction.
var errPaused = errors.New("compaction cancelled")

// statusMarks translates the text of a rocksdb::Status. RocksDB has no error
// numbers in its C API; its texts have been stable, and TestStatusMarks provokes
// the real ones.
var statusMarks = []struct {
	prefix, contains string
	mark             error
}{
	{"Corruption: ", "", engine.ErrCorruption},
	{"IO error: ", "No space left on device", engine.ErrNoSpace},
	{"IO error: ", "Disk quota exceeded", engine.ErrNoSpace},
	{"IO error: ", "Max allowed space was reached", engine.ErrNoSpace},
	{"Result incomplete: ", "Manual compaction paused", errPaused},
	{"Result incomplete: ", "Database shutdown", engine.ErrClosed},
	{"Shutdown in progress: ", "", engine.ErrClosed},
}

// statusError is the only place that reads RocksDB's error texts.
func statusError(op, dir, text string) error {
	for _, m := range statusMarks {
		if strings.HasPrefix(text, m.prefix) && strings.Contains(text, m.contains) {
			return fmt.Errorf("%s %s: %w: %s", op, dir, m.mark, text)
		}
	}
	return fmt.Errorf("%s %s: rocksdb: %s", op, dir, text)
}

// take turns a result into an error and frees its text.
func (s *store) take(op string, r C.arion_result) error {
	if r.code != C.ARION_ERROR {
		return nil
	}
	defer C.free(unsafe.Pointer(r.err))
	return statusError(op, s.dir, C.GoString(r.err))
}
