package rocks

// #include "shim.h"
import "C"

import (
	"context"
	"runtime/pprof"
	"time"
)

// keeper is the Opener's goroutine for what RocksDB leaves undone across
// databases.
//
// Memory: RocksDB's write buffer manager, over its limit, makes whichever
// database writes next flush its own memtable, however small, while idle
// databases hold the memory; many partitions then write thousands of tiny
// files. keeper flushes the largest memtable before that limit is reached.
//
// Expiry: RocksDB 7.8 looks for files due for periodic compaction only after a
// flush or compaction of the same database, so an idle one would keep expired
// records for ever. keeper makes it look.
type keeper struct {
	pressure chan struct{}
	stop     context.CancelFunc
	done     chan struct{}
	limit    uint64
}

const (
	// RocksDB's own limit is 7/8 of the budget in active memtables.
	pressureNum, pressureDen = 3, 4
	// minFlushBytes ends the search: flushing less frees nothing worth a file.
	minFlushBytes = 2 * arenaBlockBytes
	// looksPerPeriod bounds how late a due compaction may start.
	looksPerPeriod = 8
)

func (k *keeper) start(o *Opener) {
	ctx, cancel := context.WithCancel(context.Background())
	k.pressure, k.done, k.stop = make(chan struct{}, 1), make(chan struct{}), cancel
	k.limit = o.cfg.MemtablesBytes / pressureDen * pressureNum
	go pprof.Do(ctx, pprof.Labels("component", "rocks-keeper"), func(ctx context.Context) {
		defer close(k.done)
		k.run(ctx, o)
	})
}

func (k *keeper) halt() {
	k.stop()
	<-k.done
}

// noteActive is called after every write with the active memtables' bytes.
func (k *keeper) noteActive(bytes uint64) {
	if bytes < k.limit {
		return
	}
	select {
	case k.pressure <- struct{}{}:
	default:
	}
}

func (k *keeper) run(ctx context.Context, o *Opener) {
	tick := time.NewTicker(o.cfg.PeriodicCompaction / looksPerPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.pressure:
			k.relieve(ctx, o)
		case <-tick.C:
			for _, s := range o.stores() {
				if ctx.Err() == nil {
					s.reconsider(o.cfg.PeriodicCompaction)
				}
			}
		}
	}
}

// relieve flushes largest memtables until the pressure is gone. A database that
// cannot flush is passed over; its own writes report why.
func (k *keeper) relieve(ctx context.Context, o *Opener) {
	all := o.stores()
	for len(all) > 0 && ctx.Err() == nil && uint64(C.arion_budget_active(o.budget)) >= k.limit {
		i, bytes := largest(all)
		if bytes < minFlushBytes {
			return
		}
		_ = all[i].startFlush()
		all = append(all[:i], all[i+1:]...)
	}
}

func largest(all []*store) (at int, bytes uint64) {
	for i, s := range all {
		if n := s.activeBytes(); n > bytes {
			at, bytes = i, n
		}
	}
	return at, bytes
}

func (s *store) activeBytes() uint64 {
	if s.enter() != nil {
		return 0
	}
	defer s.leave()
	return uint64(C.arion_active_memtable_bytes(s.c))
}

// startFlush switches the memtable and returns before it is on disk.
func (s *store) startFlush() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.take("flush", C.arion_flush(s.c, 0))
}

// reconsider ignores errors: the next round tries again. It writes a small file,
// which a database without tables is spared.
func (s *store) reconsider(period time.Duration) {
	if s.enter() != nil {
		return
	}
	defer s.leave()
	if C.arion_has_tables(s.c) == 0 {
		return
	}
	_ = s.take("set options", C.arion_reconsider(s.c, C.uint64_t(period/time.Second)))
}
