package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/transfer"
)

func importFlags(f *pflag.FlagSet) {
	f.StringP("format", "F", "", "jsonl, csv or binary; default: by the ending of the file")
	f.String("hash_key_column", "", "csv: column of the hash key; default hash_key")
	f.String("sort_key_column", "", "csv: column of the sort key; default sort_key, empty when there is none")
	f.String("value_column", "", "csv: column of the value; default value")
	f.Bool("spread", false, "csv: make a record of each other column, with the column's name as sort key")
	f.Bool("literal", false, "csv: take cells as they stand; the default when columns are named")
	f.Bool("escapes", false, "csv: undo \\xHH and hex:, as export writes them; the default otherwise")
	f.IntP("max_batch_count", "b", 2000, "records of one step")
	f.Float64("rate", 0, "most records a second; 0 = no limit")
	f.Bool("no_ttl", false, "let the records live for ever")
	f.String("rejects", "", "file for what cannot be read or is refused; default: FILE.rejects")
	f.Int64("max_errors", 0, "give up after so many rejects; 0 = never")
	f.String("resume", "", "file to go on from, as an interrupted run names it")
}

// importer writes the records of a file, a batch at a time. After a batch that is
// written the place in the file is safe to go on from.
type importer struct {
	c       *call
	t       *client.Table
	in      transfer.Reader
	file    *os.File
	rejects *os.File
	pace    pace
	bar     *progress
	state   importState
	path    string // of the file to resume from
	names   string // of the file of rejects
}

type importState struct {
	Format   int    `json:"format"`
	File     string `json:"file"`
	Records  int64  `json:"records"` // read from the file, rejects included
	Written  int64  `json:"written"`
	Rejected int64  `json:"rejected"`
	Expired  int64  `json:"expired"`
}

func runImport(ctx context.Context, c *call) error {
	m, err := c.openImport(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.run(ctx); err != nil {
		return m.settle(err)
	}
	_ = os.Remove(m.path) // there may be none
	s := m.state
	text := fmt.Sprintf("%d records imported into %s", s.Written, quoted(c.session.Table))
	if s.Expired > 0 {
		text += fmt.Sprintf(", %d had expired", s.Expired)
	}
	if s.Rejected > 0 {
		text += fmt.Sprintf(", %d rejected: see %s", s.Rejected, m.names)
		c.exit = ExitFailed
	}
	return c.done(render.Summary{Text: text, Fields: []render.Field{
		{Name: "written", Value: s.Written}, {Name: "expired", Value: s.Expired}, {Name: "rejected", Value: s.Rejected}}})
}

func (c *call) openImport(ctx context.Context) (*importer, error) {
	path := c.text(0)
	format, err := c.fileFormat(path)
	if err != nil {
		return nil, err
	}
	t, err := c.session.table(ctx)
	if err != nil {
		return nil, err
	}
	m := &importer{c: c, t: t, pace: c.pace(), bar: c.progress("records"), names: path + ".rejects"}
	if name := parse.Text(c.flagText("rejects")); name != "" {
		m.names = name
	}
	m.state = importState{Format: walkFormat, File: path}
	m.path = c.resumeFile(t.Name())
	if err := m.open(path, format); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *importer) open(path string, format transfer.Format) (err error) {
	if m.file, err = os.Open(path); err != nil {
		return usagef(err.Error())
	}
	columns := transfer.Columns{
		HashKey: parse.Text(m.c.flagText("hash_key_column")), SortKey: parse.Text(m.c.flagText("sort_key_column")),
		Value: parse.Text(m.c.flagText("value_column")), Spread: m.c.flagOn("spread"),
	}
	foreign := columns.Spread || columns.HashKey+columns.SortKey+columns.Value != ""
	columns.Literal = m.c.flagOn("literal") || foreign && !m.c.flagOn("escapes")
	if m.in, err = transfer.NewReader(format, m.file, columns); err != nil {
		return usagef(path + ": " + err.Error())
	}
	if resume := parse.Text(m.c.flagText("resume")); resume != "" {
		return m.skipDone(resume)
	}
	return nil
}

// skipDone reads over what an interrupted run has written.
func (m *importer) skipDone(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return usagef("--resume: " + err.Error())
	}
	file := m.state.File
	if err := json.Unmarshal(b, &m.state); err != nil || m.state.Format != walkFormat || m.state.File != file {
		return usagef("--resume: " + path + " is of no import of " + file)
	}
	m.path = path
	m.bar.done, m.bar.resumed = m.state.Records, m.state.Records
	for range m.state.Records {
		if _, err := m.in.Next(); err != nil && !isMalformed(err) {
			return usagef("--resume: " + file + " is shorter than it was")
		}
	}
	return nil
}

func isMalformed(err error) bool {
	var bad *transfer.Malformed
	return errors.As(err, &bad)
}

func (m *importer) close() {
	for _, f := range []*os.File{m.file, m.rejects} {
		if f != nil {
			f.Close()
		}
	}
}

func (m *importer) run(ctx context.Context) error {
	defer m.bar.end()
	for {
		batch, read, end, err := m.read()
		if err != nil {
			return err
		}
		if err := sleep(ctx, m.pace.wait(read)); err != nil {
			return err
		}
		if err := m.write(ctx, batch); err != nil {
			return err
		}
		m.state.Records += int64(read)
		m.show(read)
		if end {
			return nil
		}
		if most, _ := m.c.flags.GetInt64("max_errors"); most > 0 && m.state.Rejected >= most {
			return usagef(fmt.Sprintf("%d records were rejected, see %s; --max_errors allows more", m.state.Rejected, m.names))
		}
	}
}

func (m *importer) show(read int) {
	m.bar.add(int64(read), 0)
	info, err := m.file.Stat()
	if err == nil && info.Size() > 0 {
		m.bar.setPart(min(0.99, float64(m.in.Offset())/float64(info.Size())))
	}
}

// read gives the next batch. What is no record goes to the rejects.
func (m *importer) read() (batch []client.Entry, read int, end bool, err error) {
	now := time.Now()
	for read < max(1, m.c.flagInt("max_batch_count")) {
		r, err := m.in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return batch, read, true, nil
		case isMalformed(err):
			read++
			if err := m.reject(err); err != nil {
				return nil, 0, false, err
			}
			continue
		case err != nil:
			return nil, 0, false, fmt.Errorf("import: %w", err)
		}
		read++
		e := client.Entry{HashKey: r.HashKey, SortKey: r.SortKey, Value: r.Value}
		if !r.Expires.IsZero() && !m.c.flagOn("no_ttl") {
			if e.TTL = r.Expires.Sub(now).Truncate(time.Second); e.TTL <= 0 {
				m.state.Expired++
				continue
			}
		}
		batch = append(batch, e)
	}
	return batch, read, false, nil
}

// write sends a batch. A record that no repetition would help is rejected; any
// other failure ends the import where it stands.
func (m *importer) write(ctx context.Context, batch []client.Entry) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.c.session.Timeout)
	defer cancel()
	errs, err := m.t.BatchSet(ctx, batch)
	if err == nil {
		m.state.Written += int64(len(batch))
		return nil
	}
	if len(errs) != len(batch) {
		return err
	}
	for i, e := range errs {
		switch {
		case e == nil:
			m.state.Written++
		case errors.Is(e, client.ErrInvalidArgument) || errors.Is(e, client.ErrTooLarge):
			if err := m.reject(&refused{batch[i], e}); err != nil {
				return err
			}
		default:
			return e
		}
	}
	return nil
}

// refused is a record that the server, or the client, does not take.
type refused struct {
	entry client.Entry
	cause error
}

func (e *refused) Error() string { return e.cause.Error() }

// reject keeps what could not be imported, one object a line. A refused record is
// a line that import reads.
func (m *importer) reject(cause error) error {
	m.state.Rejected++
	m.bar.add(0, 1)
	var err error
	if m.rejects == nil {
		if m.rejects, err = os.OpenFile(m.names, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return usagef("rejects: " + err.Error())
		}
	}
	line := map[string]any{"error": cause.Error()}
	var bad *transfer.Malformed
	var no *refused
	switch {
	case errors.As(cause, &bad):
		line["line"], line["text"] = bad.Line, bad.Text
	case errors.As(cause, &no):
		line["hash_key"], line["sort_key"] = render.JSONBytes(no.entry.HashKey), render.JSONBytes(no.entry.SortKey)
		line["value"] = render.JSONBytes(no.entry.Value)
	}
	b, err := json.Marshal(line)
	if err == nil {
		_, err = m.rejects.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("rejects: %w", err)
	}
	return nil
}

// settle keeps the place of an unfinished import.
func (m *importer) settle(err error) error {
	if isUsage(err) {
		return err
	}
	b, e := json.Marshal(m.state)
	if e == nil {
		e = os.WriteFile(m.path, b, 0o600)
	}
	if e != nil {
		return err
	}
	return &resumable{err: err, path: m.path, records: m.state.Records}
}
