package rocks

// #include "shim.h"
import "C"

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/arionkv/arion/replica/engine"
)

var _ engine.Tuner = (*store)(nil)

// scenarios are RocksDB's mutable options per scenario. Each names the same
// keys, so that leaving a scenario undoes it; those of normal are RocksDB's
// defaults, with which the engine opens.
var scenarios = map[engine.Scenario]string{
	engine.ScenarioNormal: "disable_auto_compactions=false;level0_file_num_compaction_trigger=4;" +
		"level0_slowdown_writes_trigger=20;level0_stop_writes_trigger=36;" +
		"soft_pending_compaction_bytes_limit=68719476736;hard_pending_compaction_bytes_limit=274877906944",
	engine.ScenarioPreferWrite: "disable_auto_compactions=false;level0_file_num_compaction_trigger=10;" +
		"level0_slowdown_writes_trigger=40;level0_stop_writes_trigger=72;" +
		"soft_pending_compaction_bytes_limit=137438953472;hard_pending_compaction_bytes_limit=549755813888",
	// Writes are never slowed for the sake of compactions that do not run.
	engine.ScenarioBulkLoad: "disable_auto_compactions=true;level0_file_num_compaction_trigger=1000000;" +
		"level0_slowdown_writes_trigger=1000000;level0_stop_writes_trigger=1000000;" +
		"soft_pending_compaction_bytes_limit=0;hard_pending_compaction_bytes_limit=0",
}

// Tune implements engine.Tuner. RocksDB writes a small file for each change.
func (s *store) Tune(t engine.Tuning) error {
	text, known := scenarios[t.Scenario]
	if !known {
		return fmt.Errorf("tune %s: unknown scenario %d", s.dir, t.Scenario)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	var b strings.Builder
	fmt.Fprintf(&b, "%s;write_buffer_size=%d", text, cmp.Or(t.MemtableBytes, s.opener.cfg.MemtableBytes))
	fill := C.int(1)
	if t.NoCacheFill {
		fill = 0
	}
	options := []byte(b.String())
	return s.take("tune", C.arion_tune(s.c, ptr(options), C.size_t(len(options)), fill))
}
