package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/transfer"
)

// fileVerbs move records between tables and files.
func fileVerbs() []verb {
	return []verb{
		{
			use: "export <file>", short: "write the records of the table to a file: jsonl, csv or binary",
			example: "export /tmp/temp.jsonl\nexport /tmp/users.csv -h prefix -x user\nexport /tmp/temp.bin --rate 10000",
			min:     1, max: 1, flags: exportFlags, run: runExport, related: []string{"import", "copy_data"},
		}, {
			use: "import <file>", short: "write the records of a file into the table",
			example: "import /tmp/temp.jsonl\nimport people.csv --hash_key_column id --spread\nimport /tmp/temp.bin --rate 5000 --rejects /tmp/bad.jsonl",
			min:     1, max: 1, flags: importFlags, run: runImport, related: []string{"export"},
		},
	}
}

func exportFlags(f *pflag.FlagSet) {
	f.StringP("format", "F", "", "jsonl, csv or binary; default: by the ending of the file")
	tableFilterFlags(f)
	walkFlags(f)
	f.Bool("overwrite", false, "replace a file that exists")
}

// fileFormat is that of the flag, or else of the name.
func (c *call) fileFormat(name string) (transfer.Format, error) {
	if !c.flags.Changed("format") {
		return transfer.FormatOf(name), nil
	}
	f, err := transfer.ParseFormat(parse.Text(c.flagText("format")))
	if err != nil {
		return "", usagef("--format: " + err.Error())
	}
	return f, nil
}

// exported is what an export keeps beside the cursors: how much of the file they
// answer for.
type exported struct {
	Bytes int64 `json:"bytes"`
}

// exporter writes pages of several goroutines to one file.
type exporter struct {
	mu   sync.Mutex
	file *os.File
	out  transfer.Writer
	walk *tableWalk
}

func runExport(ctx context.Context, c *call) error {
	path := c.text(0)
	format, err := c.fileFormat(path)
	if err != nil {
		return err
	}
	options, err := c.scanOptions()
	if err != nil {
		return err
	}
	options.Expiry = true
	w, err := c.newWalk(ctx, options)
	if err != nil {
		return err
	}
	e, err := c.openExport(path, format, w)
	if err != nil {
		return err
	}
	defer e.file.Close()
	err = w.run(ctx, e.page)
	if err != nil {
		return err
	}
	if err := errors.Join(e.out.End(), e.file.Sync()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	size, _ := e.file.Seek(0, io.SeekCurrent)
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d records of %s exported to %s, %s", w.state.Records, quoted(c.session.Table), path, render.HumanBytes(size)),
		Fields: []render.Field{{Name: "records", Value: w.state.Records}, {Name: "file", Value: path}, {Name: "bytes", Value: size}},
	})
}

func (c *call) openExport(path string, format transfer.Format, w *tableWalk) (*exporter, error) {
	resume := c.flags.Changed("resume")
	mode := os.O_RDWR | os.O_CREATE | os.O_EXCL
	switch {
	case resume:
		mode = os.O_RDWR
	case c.flagOn("overwrite"):
		mode = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(path, mode, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, usagef(path + " exists; --overwrite replaces it")
	}
	if err != nil {
		return nil, usagef(err.Error())
	}
	if resume {
		if err := goOn(file, w.state.Extra); err != nil {
			file.Close()
			return nil, err
		}
	}
	out, err := transfer.NewWriter(format, file, resume)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("export: %w", err)
	}
	e := &exporter{file: file, out: out, walk: w}
	return e, e.note()
}

// goOn cuts off what was written after the cursors were taken.
func goOn(file *os.File, extra json.RawMessage) error {
	var was exported
	if err := json.Unmarshal(extra, &was); err != nil {
		return usagef("--resume: the file to resume from is of no export")
	}
	if err := file.Truncate(was.Bytes); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	_, err := file.Seek(was.Bytes, io.SeekStart)
	return err
}

func (e *exporter) page(_ context.Context, rows []client.Row) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, row := range rows {
		err := e.out.Write(transfer.Record{HashKey: row.HashKey, SortKey: row.SortKey, Value: row.Value, Expires: row.Expires})
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	if err := e.out.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return e.note()
}

// note puts the length of the file into the walk's state. A page written and not
// yet counted as done comes twice after a resume, which does a table no harm.
func (e *exporter) note() error {
	at, err := e.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	extra, err := json.Marshal(exported{Bytes: at})
	e.walk.mu.Lock()
	e.walk.state.Extra = extra
	e.walk.mu.Unlock()
	return err
}
