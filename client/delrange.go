package client

import (
	"context"
	"errors"
	"io"
)

// DelRange deletes a range of the records of a hash key and gives the number of
// records it found and deleted, also with an error. It reads the keys and deletes
// them page by page: each page is one atomic step, the whole is not.
func (t *Table) DelRange(ctx context.Context, hashKey []byte, r Range) (int64, error) {
	d := t.DelRangeAsync(ctx, hashKey, r)
	n, err := d.Wait(ctx)
	if err != nil && err == ctx.Err() {
		d.Cancel()
		return d.Wait(context.Background())
	}
	return n, err
}

// DelRangeAsync is DelRange without waiting.
func (t *Table) DelRangeAsync(ctx context.Context, hashKey []byte, r Range) *Deferred[int64] {
	ctx, stop := context.WithCancel(ctx)
	w := &rangeDeleter{ctx: ctx, stop: stop, hashKey: clone(hashKey),
		s: t.Scan(hashKey, r, ScanOptions{NoValue: true, PageSize: 100})}
	w.d = &Deferred[int64]{exec: t.c.exec, cancel: stopper(stop)}
	w.unwatch = context.AfterFunc(ctx, func() { w.s.Close() })
	w.step()
	return w.d
}

// rangeDeleter alternates between reading a page of keys and deleting them. The
// steps follow each other; n needs no lock.
type rangeDeleter struct {
	ctx     context.Context
	stop    context.CancelFunc
	unwatch func() bool
	s       *Scanner
	d       *Deferred[int64]
	hashKey []byte
	n       int64
}

func (w *rangeDeleter) step() {
	w.s.NextPageAsync().AddBoth(func(rows []Row, err error) ([]Row, error) {
		if err != nil {
			w.end(err)
			return rows, err
		}
		w.delete(rows)
		return rows, nil
	})
}

func (w *rangeDeleter) delete(rows []Row) {
	keys := make([][]byte, len(rows))
	for i := range rows {
		keys[i] = rows[i].SortKey
	}
	p := w.s.t.multiDel(w.hashKey, keys)
	if p.err != nil {
		w.end(p.err)
		return
	}
	p.op.startInner(w.ctx, func(_ nothing, err error) {
		if err != nil {
			w.end(err)
			return
		}
		w.n += int64(len(rows))
		w.step()
	})
}

func (w *rangeDeleter) end(err error) {
	if errors.Is(err, io.EOF) {
		err = nil
	} else if errors.Is(err, ErrScannerClosed) && w.ctx.Err() != nil {
		err = &Error{Op: "del-range", Table: w.s.t.name, Partition: -1, Kind: kindOfLocal(w.ctx.Err()), Cause: w.ctx.Err(), Unknown: w.n > 0}
	}
	w.unwatch()
	w.stop()
	w.s.Close()
	w.d.fire(w.n, err)
}
