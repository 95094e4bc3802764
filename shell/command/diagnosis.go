package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/metrics"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

func diagnosisVerbs() []verb {
	return append([]verb{
		{
			use: "doctor", short: "look for what is wrong: each finding with severity, evidence and the next command",
			example: "doctor\ndoctor -o json\ndoctor --like critical",
			flags:   doctorFlags, run: runDoctor, related: []string{"cluster status", "node list", "top"},
		}, {
			use: "detect_hotkey", short: "find the hash key of a partition that is used most",
			example: "detect_hotkey -a 1 -p 0 -t read -c start -d 127.0.0.1:34801\ndetect_hotkey -a 1 -p 0 -t read -c query -d 127.0.0.1:34801\ndetect_hotkey -a 1 -p 0 -t read -c stop -d 127.0.0.1:34801",
			flags:   hotkeyFlags, run: runHotkey, related: []string{"top", "table stat"},
		}, {
			use: "ddd_diagnose", short: "list partitions whose replicas are all down and that cannot choose a leader by themselves",
			example: "ddd_diagnose\nddd_diagnose -g 1.0",
			flags:   diagnoseFlags, run: runDiagnose,
		},
	}, remoteVerbs()...)
}

func hotkeyFlags(f *pflag.FlagSet) {
	f.Int32P("app_id", "a", 0, "table id (required)")
	f.Int32P("partition_index", "p", 0, "partition (required)")
	f.StringP("hotkey_type", "t", "read", "read or write")
	f.StringP("detect_action", "c", "query", "start, stop or query")
	f.StringP("address", "d", "", "node to ask; default: the leader of the partition")
}

func runHotkey(ctx context.Context, c *call) error {
	if err := c.need("app_id", "partition_index"); err != nil {
		return err
	}
	table, _ := c.flags.GetInt32("app_id") // parsed by pflag
	index, _ := c.flags.GetInt32("partition_index")
	id := admin.PartitionID{Table: table, Index: index}
	kind, action := parse.Text(c.flagText("hotkey_type")), parse.Text(c.flagText("detect_action"))
	what, ok := map[string]admin.HotkeyAction{"start": admin.HotkeyStart, "stop": admin.HotkeyStop, "query": admin.HotkeyQuery}[action]
	if !ok || kind != "read" && kind != "write" {
		return usagef("--detect_action is start, stop or query; --hotkey_type is read or write")
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		addr := parse.Text(c.flagText("address"))
		if addr == "" {
			_, p, err := replicasOf(ctx, a, id)
			if err != nil {
				return err
			}
			addr = p.Leader
		}
		key, err := a.DetectHotkey(ctx, addr, id, kind == "write", what)
		if err != nil {
			return err
		}
		return c.hotkeySaid(id, kind, action, addr, key)
	})
}

func (c *call) hotkeySaid(id admin.PartitionID, kind, action, addr, key string) error {
	s := render.Summary{Fields: []render.Field{{Name: "partition_id", Value: fmt.Sprintf("%d.%d", id.Table, id.Index)}, {Name: "hotkey_type", Value: kind}}}
	again := fmt.Sprintf("detect_hotkey -a %d -p %d -t %s -d %s -c ", id.Table, id.Index, kind, addr)
	switch action {
	case "start":
		s.Text = "detection started; ask with: " + again + "query"
	case "stop":
		s.Text = "detection stopped"
	default:
		s.Text = "hot " + kind + " key: " + key + "\nend with: " + again + "stop"
		s.Fields = append(s.Fields, render.Field{Name: "hot_key", Value: key})
	}
	return c.done(s)
}

func diagnoseFlags(f *pflag.FlagSet) {
	f.StringP("gpid", "g", "", "only this partition, table_id.index")
}

func runDiagnose(ctx context.Context, c *call) error {
	only := parse.Text(c.flagText("gpid"))
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		found, err := a.Diagnose(ctx)
		if err != nil {
			return err
		}
		r := c.open(render.Columns("partition_id", "reason", "nodes"), nil)
		for _, s := range found {
			id := fmt.Sprintf("%d.%d", s.Partition.Table, s.Partition.Index)
			if only != "" && !strings.HasPrefix(id+".", only+".") {
				continue
			}
			if err := r.Row(id, s.Reason, s.Dropped); err != nil {
				return err
			}
		}
		return c.done(render.Summary{Text: fmt.Sprintf("%d partitions are stuck", len(found))})
	})
}

// skew is how far the clock of a server is from ours: between low and high.
type skew struct{ low, high time.Duration }

// measureSkew asks a server for the time. Its answer has whole seconds, so that the
// result is a range of a second and the time of the call.
func measureSkew(ctx context.Context, addr string) *skew {
	sent := time.Now()
	body, header, err := metrics.Get(ctx, addr, "/version")
	received := time.Now()
	if err != nil {
		return nil
	}
	body.Close()
	at, err := time.Parse(time.RFC1123, header.Get("Date"))
	if err != nil {
		return nil
	}
	return &skew{low: at.Sub(received), high: at.Add(time.Second).Sub(sent)}
}

// off is the least that the clocks differ.
func (s *skew) off() time.Duration { return max(s.low, -s.high, 0) }
