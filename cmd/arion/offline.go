package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/arionkv/arion/cmd/arion/offline"
	"github.com/arionkv/arion/shell/render"
)

// errDamaged makes a verification fail that found something.
var errDamaged = errors.New("the data directory has problems, see above")

func newOffline() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "offline",
		Short: "Look into the data directory of a stopped node: records, log, verify",
		Long:  "Reads the data directory of a stopped node. Nothing in it is changed.",
	}
	records, _ := newDump("records DIR", "Print the stored records", "  arion offline records data/onebox/replica1 --partition 1.0 --limit 10", (*offline.Node).Records)
	records.Long = "Prints the records that the storage engine has on disk. What was written last may\n" +
		"be in the raft logs only: the next start applies it."
	log, o := newDump("log DIR", "Print the entries of the raft logs", "  arion offline log data/onebox/replica1 --partition 1.0 --from 100", (*offline.Node).Log)
	log.Flags().Uint64Var(&o.From, "from", 0, "first index of the log")
	cmd.AddCommand(records, log, newVerify())
	return cmd
}

func newDump(use, short, example string, dump func(*offline.Node, offline.Options) error) (*cobra.Command, *offline.Options) {
	o := &offline.Options{Out: os.Stdout}
	var hex, escapeAll bool
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			form := render.Quoted
			switch {
			case hex:
				form = render.Hex
			case escapeAll:
				form = render.EscapeAll
			}
			o.Quote = func(b []byte) string { return string(form.Append(nil, b)) }
			return onNode(args[0], func(n *offline.Node) error { return dump(n, *o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Partition, "partition", "", "only this one, table_id.partition; default: all")
	f.IntVar(&o.Limit, "limit", 0, "stop after so many; 0 = all")
	f.BoolVar(&o.JSON, "json", false, "an object per line")
	f.BoolVar(&hex, "hex", false, "print keys and values as hex:…")
	f.BoolVar(&escapeAll, "escape-all", false, "print every byte as \\xHH")
	return cmd, o
}

func newVerify() *cobra.Command {
	var partition string
	cmd := &cobra.Command{
		Use: "verify DIR", Short: "Read everything in the directory and report what cannot be read",
		Example: "  arion offline verify data/onebox/replica1", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return onNode(args[0], func(n *offline.Node) error {
				report, err := n.Verify(partition)
				if err != nil {
					return err
				}
				for _, p := range report.Problems {
					fmt.Println("problem: " + render.SafeText(p))
				}
				fmt.Printf("%d replicas, %d records, %d log entries, %d problems\n", report.Replicas, report.Records, report.Entries, len(report.Problems))
				if len(report.Problems) > 0 {
					return errDamaged
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&partition, "partition", "", "only this one, table_id.partition; default: all")
	return cmd
}

func onNode(dir string, f func(*offline.Node) error) error {
	n, err := offline.Open(dir)
	if err != nil {
		return usageError{err}
	}
	defer n.Close()
	return f(n)
}
