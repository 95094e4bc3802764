package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// tableWalk goes over a whole table, several partitions at a time. It can be
// interrupted: where it stood is kept in a file, and --resume goes on there.
type tableWalk struct {
	c      *call
	t      *client.Table
	lanes  int
	passes func([]byte) bool
	pace   pace
	bar    *progress

	mu    sync.Mutex
	state walkState
	path  string // of the file to resume from; empty = nothing is kept
}

// walkState is what the file holds. Nothing in it is secret but keys.
type walkState struct {
	Format  int             `json:"format"`
	Verb    string          `json:"verb"`
	Table   string          `json:"table"`
	Cursors []client.Cursor `json:"cursors"`
	Done    []bool          `json:"done"`
	Records int64           `json:"records"`
	Extra   json.RawMessage `json:"extra,omitempty"` // the verb's own, such as a file's length
}

const walkFormat = 1

func walkFlags(f *pflag.FlagSet) {
	f.IntP("lanes", "l", countLanes, "partitions worked on at a time")
	f.Float64("rate", 0, "most records a second; 0 = no limit")
	f.String("resume", "", "file to go on from, as an interrupted run names it")
}

// pace is that of --rate.
func (c *call) pace() pace {
	rate, _ := c.flags.GetFloat64("rate") // parsed by pflag
	return pace{rate: rate}
}

// resumeFile is where the verb keeps how far it is on a table, unless --resume says.
func (c *call) resumeFile(table string) string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("arion-%s-%s-%d.resume", c.verb, table, os.Getpid()))
}

// newWalk prepares the walk; nothing is read yet.
func (c *call) newWalk(ctx context.Context, o client.ScanOptions) (*tableWalk, error) {
	passes, err := c.valueFilter()
	if err != nil {
		return nil, err
	}
	t, err := c.session.table(ctx)
	if err != nil {
		return nil, err
	}
	w := &tableWalk{c: c, t: t, lanes: max(1, c.flagInt("lanes")), passes: passes, pace: c.pace(), bar: c.progress("records")}
	w.state = walkState{Format: walkFormat, Verb: c.verb, Table: t.Name()}
	if path := parse.Text(c.flagText("resume")); path != "" {
		return w, w.load(path)
	}
	w.path = c.resumeFile(t.Name())
	return w, w.start(ctx, o)
}

func (w *tableWalk) start(ctx context.Context, o client.ScanOptions) error {
	count, err := w.c.session.partitionsOf(ctx, w.t)
	if err != nil {
		return err
	}
	o.Reuse = true
	scanners, err := w.t.UnorderedScanners(ctx, count, o)
	if err != nil {
		return err
	}
	if index := w.c.flagInt("partition"); w.c.flags.Changed("partition") {
		if index < 0 || index >= len(scanners) {
			return usagef(fmt.Sprintf("--partition is %d; the table has %d, counted from 0", index, len(scanners)))
		}
		scanners = scanners[index : index+1]
	}
	for _, s := range scanners {
		w.state.Cursors = append(w.state.Cursors, s.Cursor())
	}
	w.state.Done = make([]bool, len(scanners))
	return nil
}

func (w *tableWalk) load(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return usagef("--resume: " + err.Error())
	}
	verb, table := w.state.Verb, w.state.Table
	if err := json.Unmarshal(b, &w.state); err != nil || w.state.Format != walkFormat || len(w.state.Done) != len(w.state.Cursors) {
		return usagef("--resume: " + path + " is no file to resume from")
	}
	if w.state.Verb != verb || w.state.Table != table {
		return usagef(fmt.Sprintf("--resume: the file is of %s on table %s", w.state.Verb, w.state.Table))
	}
	w.path = path
	w.bar.done, w.bar.resumed = w.state.Records, w.state.Records
	return nil
}

// run hands the rows that pass to f, a page at a time, from several goroutines.
// A page counts as done when f says so; its memory is used again then.
func (w *tableWalk) run(ctx context.Context, f func(ctx context.Context, rows []client.Row) error) error {
	defer w.bar.end()
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(w.lanes)
	for i := range w.state.Cursors {
		if w.state.Done[i] {
			continue
		}
		group.Go(func() error {
			if inner.Err() != nil {
				return inner.Err()
			}
			return w.partition(inner, i, f)
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return w.settle(err)
}

// settle keeps the place of an unfinished walk, or removes what was kept.
func (w *tableWalk) settle(err error) error {
	if err == nil {
		_ = os.Remove(w.path) // there may be none
		return nil
	}
	if isUsage(err) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b, e := json.Marshal(w.state)
	if e == nil {
		e = os.WriteFile(w.path, b, 0o600)
	}
	if e != nil {
		return err
	}
	return &resumable{err: err, path: w.path, records: w.state.Records}
}

// resumable is an error of work that can go on where it stood.
type resumable struct {
	err     error
	path    string
	records int64
}

func (e *resumable) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *resumable) Unwrap() error { return e.err }

func (w *tableWalk) partition(ctx context.Context, i int, f func(context.Context, []client.Row) error) error {
	s, err := w.t.ResumeScan(w.state.Cursors[i])
	if err != nil {
		return usagef("--resume: " + err.Error())
	}
	defer s.Close()
	for {
		rows, err := w.page(ctx, s)
		if errors.Is(err, io.EOF) {
			w.finished(i)
			return nil
		}
		if err != nil {
			return err
		}
		seen := len(rows)
		rows = w.filter(rows)
		if err := sleep(ctx, w.pace.wait(seen)); err != nil {
			return err
		}
		if err := f(ctx, rows); err != nil {
			return err
		}
		w.advance(i, s.Cursor(), int64(len(rows)))
	}
}

func (w *tableWalk) page(ctx context.Context, s *client.Scanner) ([]client.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, w.c.session.Timeout)
	defer cancel()
	return s.NextPage(ctx)
}

func (w *tableWalk) filter(rows []client.Row) []client.Row {
	if w.passes == nil {
		return rows
	}
	kept := rows[:0]
	for _, row := range rows {
		if w.passes(row.Value) {
			kept = append(kept, row)
		}
	}
	return kept
}

func (w *tableWalk) advance(i int, at client.Cursor, records int64) {
	w.mu.Lock()
	w.state.Cursors[i] = at
	w.state.Records += records
	w.mu.Unlock()
	w.bar.add(records, 0)
}

func (w *tableWalk) finished(i int) {
	w.mu.Lock()
	w.state.Done[i] = true
	done := 0
	for _, d := range w.state.Done {
		if d {
			done++
		}
	}
	part := float64(done) / float64(len(w.state.Done))
	w.mu.Unlock()
	w.bar.setPart(part)
}

// interruptedAt adds the way to go on to an error that is shown.
func (e *resumable) advise(f render.Failure) render.Failure {
	note := fmt.Sprintf("%d records were done", e.records)
	if f.Cause != "" {
		note = f.Cause + "; " + note
	}
	f.Cause = note
	if worthResuming(f.Exit) {
		f.Try = "the same with --resume " + e.path
	}
	return f
}

// worthResuming: the same would fail again when the table is not there or the
// command was wrong or refused.
func worthResuming(exit int) bool {
	return exit != ExitNotFound && exit != ExitUsage && exit != ExitRefused
}
