package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// remoteVerbs run text commands on servers.
func remoteVerbs() []verb {
	return []verb{
		{
			use: "remote_command <command> [argument ...]", short: "run a text command on servers; help lists what they know",
			example: "remote_command -t replica-server help\nremote_command -t meta-server repair.status\nremote_command -t all server-stat",
			aliases: []string{"remote", "remote_command meta", "remote_command replica"},
			min:     1, max: unlimited, flags: remoteFlags, run: runRemote,
			related: []string{"server_info", "server_stat"},
		}, {
			use: "server_info", short: "show the version and start time of servers",
			example: "server_info\nserver_info -t meta-server",
			flags:   remoteFlags, run: remoteOf("server-info"),
		}, {
			use: "server_stat", short: "show a short status of servers",
			example: "server_stat\nserver_stat -t replica-server",
			flags:   remoteFlags, run: remoteOf("server-stat"),
		}, {
			use: "flush_log", short: "ask replica servers to write out their log files",
			example: "flush_log\nflush_log -l 127.0.0.1:34801",
			flags:   flushFlags, run: remoteOf("flush-log"),
		}, {
			use: "server_config", short: "show the settings in force of servers",
			example: "server_config -t meta-server\nserver_config -t replica-server -o jsonl",
			aliases: []string{"server_config meta", "server_config replica"}, flags: remoteFlags, run: remoteOf("config-dump"),
		},
	}
}

func remoteFlags(f *pflag.FlagSet) {
	f.StringP("node_type", "t", "all", "all, meta-server or replica-server")
	f.StringP("node_list", "l", "", "only these servers, host:port, separated by commas")
	f.StringP("node", "n", "", "only this server, as admin-cli has it")
	f.BoolP("resolve_ip", "r", false, "accepted for old scripts: addresses are shown as they are")
	f.IntP("sample_interval_ms", "i", 0, "accepted for old scripts")
}

// flushFlags: meta servers hold no log back, so they know no such command.
func flushFlags(f *pflag.FlagSet) {
	remoteFlags(f)
	f.Lookup("node_type").DefValue = "replica-server"
	_ = f.Set("node_type", "replica-server") // a text takes any value
	f.Lookup("node_type").Changed = false
}

// server is an address with its role.
type server struct{ role, addr string }

// servers lists those that the flags choose.
func (c *call) servers(ctx context.Context, a *admin.Admin) ([]server, error) {
	if text := parse.Text(c.flagText("node_list") + c.flagText("node")); text != "" {
		var list []server
		for _, addr := range strings.Split(text, ",") {
			list = append(list, server{"user-specified", strings.TrimSpace(addr)})
		}
		return list, nil
	}
	kind := parse.Text(c.flagText("node_type"))
	for word, role := range map[string]string{" meta": "meta-server", " replica": "replica-server"} {
		if strings.HasSuffix(c.called, word) { // as admin-cli has it
			kind = role
		}
	}
	var list []server
	if kind == "all" || kind == "meta-server" {
		for _, addr := range c.session.metaServers(ctx, a) {
			list = append(list, server{"meta-server", addr})
		}
	}
	if kind == "all" || kind == "replica-server" {
		nodes, err := a.ListNodes(ctx)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			list = append(list, server{"replica-server", n.Addr})
		}
	}
	if list == nil {
		return nil, usagef(fmt.Sprintf("--node_type is %q; known are all, meta-server and replica-server", kind))
	}
	return list, nil
}

// metaServers are those that the cluster names, or else those we were given.
func (s *Session) metaServers(ctx context.Context, a *admin.Admin) []string {
	facts, err := a.ClusterInfo(ctx)
	if list := facts.Get("meta_servers"); err == nil && list != "" {
		return strings.Split(list, ",")
	}
	return s.Metas
}

func remoteOf(command string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error { return c.remote(ctx, command, nil) }
}

func runRemote(ctx context.Context, c *call) error {
	var args []string
	for i := 1; i < len(c.args); i++ {
		args = append(args, c.text(i))
	}
	return c.remote(ctx, c.text(0), args)
}

// answer of one server to a text command.
type answer struct {
	server
	text string
	err  error
}

func (c *call) remote(ctx context.Context, command string, args []string) error {
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		servers, err := c.servers(ctx, a)
		if err != nil {
			return err
		}
		answers := ask(ctx, a, servers, command, args)
		r := c.open(render.Columns("node", "role", "acked", "message"), func(p *render.Printer, row []any) string {
			return fmt.Sprintf("[%s %s]\n%s", row[1], row[0], multiline(fmt.Sprint(row[3])))
		})
		failed := 0
		for _, x := range answers {
			message := any(x.text)
			if x.err != nil {
				failed++
				message = x.err.Error()
			} else if json.Valid([]byte(x.text)) && c.session.Printer.Format != render.Table {
				message = json.RawMessage(x.text)
			}
			if err := r.Row(x.addr, x.role, x.err == nil, message); err != nil {
				return err
			}
		}
		if failed > 0 {
			c.exit = ExitFailed
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("%d servers, %d failed", len(answers), failed),
			Fields: []render.Field{{Name: "succeed_count", Value: len(answers) - failed}, {Name: "failed_count", Value: failed}},
		})
	})
}

// multiline makes text of a server fit for a terminal, keeping its lines.
func multiline(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = render.SafeText(strings.ReplaceAll(line, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// ask runs a command on many servers at once.
func ask(ctx context.Context, a *admin.Admin, servers []server, command string, args []string) []answer {
	answers := make([]answer, len(servers))
	var group sync.WaitGroup
	for i, s := range servers {
		group.Go(func() {
			answers[i] = answer{server: s}
			answers[i].text, answers[i].err = understood(a.RemoteCommand(ctx, s.addr, command, args...))
		})
	}
	group.Wait()
	return answers
}

// remoteError is what a server said to a text command.
type remoteError struct{ text, try string }

func (e *remoteError) Error() string { return e.text }

// inShell gives the verbs for the text commands that servers speak of.
var inShell = strings.NewReplacer("meta.list", "cluster metas", "node.list", "node list", "node.drain-status", "node drain_status",
	"node.drain", "node drain", "node.resume", "node resume", "node.forget", "node forget", "repair.status", "cluster status",
	"partition.recover", "partition recover", "balance.plan", "cluster plan")

func (e *remoteError) failure(verb string) render.Failure {
	f := render.Failure{What: verb + ": the server refused", Code: "REFUSED_BY_SERVER", Cause: e.text, Try: e.try, Exit: ExitFailed}
	if verb != "remote_command" {
		f.Cause = inShell.Replace(f.Cause)
		if f.Try == "" {
			f.Try = "help " + verb + " shows what it takes"
		}
	}
	return f
}

// understood tells a refusal from an answer: text commands have no error of their
// own.
func understood(text string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if problem, ok := strings.CutPrefix(text, "error: "); ok {
		return "", &remoteError{text: problem}
	}
	if strings.HasPrefix(text, "unknown command") {
		return "", &remoteError{text: text + ": not active on this server", try: "server_info shows the versions; remote_command help lists what it knows"}
	}
	return text, nil
}

// metaCommand runs a text command on a meta server, the leader if it is known; any
// other passes it on. One that does not answer gets only a part of the time while
// there are others to ask.
func (s *Session) metaCommand(ctx context.Context, a *admin.Admin, command string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout) // that of the caller may be the wait for a job
	defer cancel()
	servers := s.metasByUse(ctx, a)
	var last error
	for i, addr := range servers {
		one, stop := ctx, func() {}
		if i < len(servers)-1 {
			one, stop = context.WithTimeout(ctx, s.Timeout/3)
		}
		text, err := understood(a.RemoteCommand(one, addr, command, args...))
		stop()
		var refused *remoteError
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
			return text, err
		}
		last = err
	}
	return "", last
}

// metasByUse lists the meta servers, the leader first.
func (s *Session) metasByUse(ctx context.Context, a *admin.Admin) []string {
	var servers []string
	add := func(addr string) {
		if addr = strings.TrimSpace(addr); addr != "" && !slices.Contains(servers, addr) {
			servers = append(servers, addr)
		}
	}
	facts, err := a.ClusterInfo(ctx)
	if err == nil {
		add(facts.Get("primary_meta_server"))
	}
	for _, addr := range s.Metas {
		add(addr)
	}
	if err == nil {
		for _, addr := range strings.Split(facts.Get("meta_servers"), ",") {
			add(addr)
		}
	}
	return servers
}

// metaText shows the answer of a meta command: rows where it is a table with a
// header, else the text.
func (c *call) metaText(text string, header bool) error {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if !header || len(lines) < 2 {
		c.open(render.Columns("message"), func(_ *render.Printer, row []any) string { return multiline(fmt.Sprint(row[0])) })
		if err := c.result.Row(strings.TrimRight(text, "\n")); err != nil {
			return err
		}
		return c.done(render.Summary{})
	}
	names := strings.Fields(lines[0])
	r := c.open(render.Columns(names...), nil)
	for _, line := range lines[1:] {
		row := make([]any, len(names))
		for i, cell := range strings.Fields(line) {
			switch {
			case i >= len(names): // the rest of a text
				row[len(names)-1] = fmt.Sprint(row[len(names)-1], " ", cell)
			case cell != "-":
				row[i] = cell
			}
		}
		if err := r.Row(row...); err != nil {
			return err
		}
	}
	return c.done(render.Summary{})
}
