package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arionkv/arion/internal/version"
	"github.com/arionkv/arion/shell"
	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/render"
)

func newShell() *cobra.Command {
	var o shell.Options
	var metas, format string
	var hex, b64, raw, escapeAll bool
	cmd := &cobra.Command{
		Use:   "shell --meta HOST:PORT[,…]",
		Short: "Work with tables and records, at a prompt or in scripts",
		Long: `Reads commands from -e, from -f, from standard input when that is no terminal,
or from a prompt. A script stops at the first error.

Exit status: 0 done, 1 failed on the server, 2 usage, 3 not reached or timed
out, 4 not found or condition not met, 5 refused, 6 busy, 7 in doubt,
130 interrupted.`,
		Example: "  arion shell --meta 127.0.0.1:34601 --table temp\n" +
			"  arion shell --meta 127.0.0.1:34601 --table temp -e 'set a b c; get a b' -o json",
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			var err error
			if o.Format, err = render.ParseFormat(format); err != nil {
				return usageError{err}
			}
			o.Metas = splitList(metas)
			o.Bytes = byteForm(hex, b64, raw, escapeAll)
			o.Version = version.Line()
			// The shell minds Ctrl-C itself: at the prompt it stops a command only.
			if status := shell.Run(context.Background(), o); status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&metas, "meta", "127.0.0.1:34601", "meta servers, host:port, separated by commas")
	f.StringVar(&o.Table, "table", "", "table to use")
	f.StringVarP(&o.Command, "execute", "e", "", "commands to run, separated by semicolons")
	f.StringVarP(&o.File, "file", "f", "", "file of commands to run")
	f.StringVarP(&format, "output", "o", string(render.Table), "table or json")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "no footers")
	f.DurationVar(&o.Timeout, "timeout", command.DefaultTimeout, "longest time of one command")
	f.BoolVar(&hex, "hex", false, "print keys and values as hex:…")
	f.BoolVar(&b64, "b64", false, "print keys and values as b64:…")
	f.BoolVar(&escapeAll, "escape-all", false, "print every byte as \\xHH")
	f.BoolVar(&raw, "raw", false, "print keys and values as they are (not to a terminal)")
	cmd.MarkFlagsMutuallyExclusive("hex", "b64", "escape-all", "raw")
	cmd.MarkFlagsMutuallyExclusive("execute", "file")
	return cmd
}

func byteForm(hex, b64, raw, escapeAll bool) render.ByteForm {
	switch {
	case hex:
		return render.Hex
	case b64:
		return render.Base64
	case raw:
		return render.Raw
	case escapeAll:
		return render.EscapeAll
	}
	return render.Quoted
}

func splitList(text string) []string {
	var list []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
