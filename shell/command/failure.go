package command

import (
	"context"
	"errors"
	"strings"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// The exit statuses of commands, and of the shell that ran them.
const (
	ExitOK          = 0
	ExitFailed      = 1   // the operation failed on the server
	ExitUsage       = 2   // usage error, nothing was sent
	ExitUnreachable = 3   // meta or node not reached, or timeout: not applied
	ExitNotFound    = 4   // not found, or the condition was not met
	ExitRefused     = 5   // authentication or privilege
	ExitBusy        = 6   // busy or throttled: safe to repeat
	ExitInDoubt     = 7   // sent, no answer: may or may not have happened
	ExitInterrupted = 130 // Ctrl-C
)

// remedies says, for each error a caller can tell apart, which exit status it
// has and what to try. The first that matches counts.
var remedies = []struct {
	kind error
	exit int
	try  string
}{
	{client.ErrTableNotFound, ExitNotFound, "ls shows the tables; create <table> makes one"},
	{client.ErrNotFound, ExitNotFound, ""},
	{client.ErrInvalidArgument, ExitUsage, "help <command> shows what it takes"},
	{client.ErrTooLarge, ExitUsage, "split the value; set_app_envs can raise the limit of the table"},
	{client.ErrBusy, ExitBusy, "the same command again in a moment"},
	{client.ErrOverloaded, ExitBusy, "the same command again in a moment"},
	{client.ErrDiskFull, ExitBusy, "nodes -d shows the disks; free space or add a node"},
	{client.ErrDenied, ExitRefused, "ask for access to the table"},
	{client.ErrDisabled, ExitRefused, "get_app_envs shows what is switched off for the table"},
	{client.ErrTimeout, ExitUnreachable, "nodes shows who is alive; timeout <ms> gives more time"},
	{client.ErrUnavailable, ExitUnreachable, "nodes shows who is alive; app <table> -d shows who leads"},
	{client.ErrNotSupported, ExitFailed, "server_info shows the versions: this server does not offer it"},
	{admin.ErrTableExists, ExitFailed, "ls shows the tables"},
	{admin.ErrBusy, ExitBusy, "the same command again in a moment"},
	{admin.ErrFrozen, ExitBusy, "nodes shows who is alive: perhaps too few are"},
	{admin.ErrNotReady, ExitUnreachable, "cluster_info shows the metas; most of them must be up"},
	{admin.ErrState, ExitFailed, "ls -s all shows the state of the tables"},
}

// failureOf turns an error into what is shown.
func failureOf(err error, verb string) render.Failure {
	var typed *client.Error
	var refused *admin.Error
	var usage *usageError
	var syntax *parse.SyntaxError
	var no *refusal
	var remote *remoteError
	var column *render.UnknownColumn
	var rest *resumable
	var scan *stopped
	switch {
	case errors.As(err, &scan):
		return scan.advise(failureOf(scan.err, verb))
	case errors.As(err, &rest):
		return rest.advise(failureOf(rest.err, verb))
	case errors.As(err, &usage) && strings.HasPrefix(usage.text, "there is no command"):
		return render.Failure{What: usage.text, Code: "USAGE", Try: usage.try, Exit: ExitUsage}
	case errors.As(err, &usage):
		return render.Failure{What: verb + ": " + usage.text, Code: "USAGE", Try: usage.try, Exit: ExitUsage}
	case errors.As(err, &column):
		return render.Failure{What: verb + ": " + column.Error(), Code: "USAGE", Exit: ExitUsage}
	case errors.As(err, &no):
		return no.failure()
	case errors.As(err, &remote):
		return remote.failure(verb)
	case errors.As(err, &syntax):
		return render.Failure{What: syntax.Error(), Code: "SYNTAX", Try: "quote with '…' what must be taken as it stands", Exit: ExitUsage}
	case isCanceled(err):
		return interrupted(err, verb)
	case errors.As(err, &refused):
		return failureOfAdmin(refused)
	case errors.As(err, &typed):
		return failureOfCall(typed)
	}
	return other(err, verb)
}

func interrupted(err error, verb string) render.Failure {
	f := render.Failure{What: verb + ": interrupted", Code: "INTERRUPTED", Exit: ExitInterrupted}
	if client.IsUnknownOutcome(err) {
		f.Cause = "the request had been sent: it may have been executed"
	}
	return f
}

func failureOfCall(e *client.Error) render.Failure {
	f := render.Failure{What: place(e), Code: codeName(e.Code, e.Kind), Cause: e.Kind.Error()}
	f.Exit, f.Try = remedy(e)
	if e.Cause != nil {
		f.Cause += ": " + e.Cause.Error()
	}
	if errors.Is(e, client.ErrInvalidArgument) && e.Node != "" {
		f.Exit, f.Cause = ExitFailed, refusedBecause(e)
	}
	if e.Unknown {
		f.Exit = ExitInDoubt
		f.Cause += "; the request had been sent, so it may or may not have been executed"
		f.Try = "read the record back before repeating"
	}
	return f
}

// refusedBecause says what a server may have meant by an invalid argument: its
// answer is a number without words.
func refusedBecause(e *client.Error) string {
	if e.Op == "incr" {
		return "the value is no decimal number, or the sum does not fit into 64 bits"
	}
	return "the server takes no such arguments"
}

// failureOfAdmin shows what a meta server refused, in its own words if it had
// any.
func failureOfAdmin(e *admin.Error) render.Failure {
	what := strings.TrimSpace(strings.ReplaceAll(e.Op, "-", " ") + " " + e.Target)
	f := render.Failure{What: what, Code: codeName(e.Code, e.Kind)}
	f.Exit, f.Try = remedy(e)
	switch {
	case e.Hint != "":
		f.Cause = e.Hint
	case errors.Is(e, client.ErrTableNotFound):
		f.Cause = "there is no such table"
	case e.Code != code.OK:
		f.Cause = e.Code.Text()
	case e.Cause != nil:
		f.Cause = e.Cause.Error()
	default:
		f.Cause = e.Kind.Error()
	}
	if e.Code == code.ServiceNotActive && jobs[e.Op] {
		f.Exit, f.Try = ExitFailed, "server_info shows the versions: this server does not offer it"
	}
	if e.Code == code.OK && (errors.Is(e, client.ErrTimeout) || errors.Is(e, client.ErrUnavailable)) {
		f.Try = "check --meta: do the meta servers run? doctor tells which answer"
		if ofNode[e.Op] {
			f.Try = "does the server at " + e.Target + " run? node list and cluster metas show who is alive"
		}
	}
	if e.Op == "start-split" && errors.Is(e, admin.ErrBusy) {
		f.Try = "split status " + e.Target + " shows how far it is"
	}
	if e.Op == "set-envs" && e.Code == code.InvalidParameters {
		f.Try = "envs list shows what each env takes"
	}
	if e.Code == code.HandlerNotFound && ofEveryMeta[e.Op] {
		f.Try = "check --meta: this may be a replica server"
	}
	if e.Op == "propose" && e.Code == code.InvalidParameters && e.Hint == "" {
		f.Cause = "the node is not known, holds a replica already, or holds none"
		f.Try = "node list shows the nodes, table partitions who holds what"
	}
	if e.Op == "create-table" && e.Code == code.InvalidParameters && e.Hint == "" {
		f.Cause = "the meta servers cannot place it: fewer nodes are in service than it has replicas, or its numbers are out of range"
		f.Try = "node list, and node drain_status for nodes taken out of service; -r asks for fewer replicas"
	}
	if f.Exit == ExitUsage && e.Code != code.OK {
		f.Exit = ExitFailed // it was sent
	}
	if e.Unknown {
		f.Exit = ExitInDoubt
		f.Try = "look whether it happened before repeating"
	}
	return f
}

// ofEveryMeta are operations that no meta server is without.
var ofEveryMeta = map[string]bool{"list-tables": true, "get-table": true, "query-table": true, "list-nodes": true, "cluster-info": true, "create-table": true}

// ofNode are the operations that ask the server they name, and no meta server.
var ofNode = map[string]bool{"remote-command": true, "status": true, "query-disks": true, "detect-hotkey": true}

// jobs are the operations for which "not active" means that this server does not
// have them, and not that no meta server leads.
var jobs = map[string]bool{
	"start-compaction": true, "query-compaction": true, "start-split": true, "query-split": true,
	"control-split": true, "propose": true, "detect-hotkey": true, "diagnose": true, "start-recovery": true,
}

func remedy(err error) (exit int, try string) {
	for _, r := range remedies {
		if errors.Is(err, r.kind) {
			return r.exit, r.try
		}
	}
	return ExitFailed, ""
}

// place says what was done where: "set users/2.7 on 10.0.0.3:34801".
func place(e *client.Error) string {
	// The error's own text begins with it, up to the kind.
	what, _, _ := strings.Cut(e.Error(), ": "+e.Kind.Error())
	return what
}

// codeName is the name a script can rely on: the server's own, or that of the
// client's decision.
func codeName(c code.Code, kind error) string {
	if c != code.OK {
		return c.String()
	}
	return strings.ToUpper(strings.ReplaceAll(kind.Error(), " ", "_"))
}

// other covers what is neither the user's mistake nor a call's failure: no meta
// server, a timeout before a call began, a closed pipe.
func other(err error, verb string) render.Failure {
	f := render.Failure{What: verb + " failed", Code: "FAILED", Cause: err.Error()}
	f.Exit, f.Try = remedy(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.Code, f.Exit, f.Try = "TIMED_OUT", ExitUnreachable, "check --meta; nodes shows who is alive"
	case errors.Is(err, client.ErrUnavailable):
		f.Code, f.Try = "UNREACHABLE", "check --meta: is a meta server running there?"
	case errors.Is(err, client.ErrInvalidArgument):
		f.Try = "--meta takes host:port, several separated by commas"
	}
	return f
}

func quoted(text string) string { return string(render.AppendQuoted(nil, []byte(text))) }

// isCanceled tells Ctrl-C from a failure.
func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, client.ErrCanceled)
}
