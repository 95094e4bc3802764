package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/render"
)

// jobVerbs show all that the cluster works at in the background, of whatever kind.
// A job is named by its kind and its object: there is one of a kind at a time.
func jobVerbs() []verb {
	return []verb{
		{
			use: "job list", short: "list what runs in the background: splits, compactions, drains",
			example: "job list\njob list -o json",
			run:     runJobList, related: []string{"job wait", "job cancel", "cluster status"},
		}, {
			use: "job show <job>", short: "show one job, named as job list names it",
			example: "job show split:temp\njob show drain:127.0.0.1:34803 -o json",
			min:     1, max: 1, run: runJobShow,
		}, {
			use: "job wait <job>", short: "wait until a job is done, showing how far it is",
			example: "job wait split:temp\njob wait drain:127.0.0.1:34803",
			min:     1, max: 1, run: runJobWait,
		}, {
			use: "job cancel <job>", short: "give up a split or a drain",
			example: "job cancel split:temp --dry-run\njob cancel drain:127.0.0.1:34803 --dry-run",
			min:     1, max: 1, run: runJobCancel, changes: true,
		},
	}
}

// job is one piece of work in the background.
type job struct {
	kind, object string // split, compact or drain, and the table or node
	state        string
	percent      any // nil when not known
	left         string
}

func (j job) name() string { return j.kind + ":" + j.object }

var jobColumns = []string{"job", "state", "percent", "left"}

func (j job) row() []any { return []any{j.name(), j.state, j.percent, orNil(j.left)} }

// jobName reads kind:object.
func jobName(text string) (kind, object string, err error) {
	kind, object, ok := strings.Cut(text, ":")
	if !ok || object == "" || kind != "split" && kind != "compact" && kind != "drain" {
		return "", "", usagef(quoted(text) + " names no job; say split:TABLE, compact:TABLE or drain:NODE, as job list shows them")
	}
	return kind, object, nil
}

// findJob gives the job, nil when no such job runs.
func (c *call) findJob(ctx context.Context, a *admin.Admin, kind, object string) (*job, error) {
	switch kind {
	case "split":
		return splitJob(ctx, a, object)
	case "compact":
		return compactJob(ctx, a, object)
	}
	drains, err := c.drains(ctx, a, object)
	if err != nil || len(drains) == 0 {
		return nil, err
	}
	return &drains[0], nil
}

func splitJob(ctx context.Context, a *admin.Admin, table string) (*job, error) {
	state, err := a.SplitState(ctx, table)
	if errors.Is(err, admin.ErrState) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := a.GetTable(ctx, table)
	if err != nil {
		return nil, err
	}
	j := &job{kind: "split", object: table, state: "running", left: fmt.Sprintf("%d partitions", len(state))}
	paused := 0
	for _, s := range state {
		if s == "PAUSED" {
			paused++
		}
	}
	if paused > 0 {
		j.state = "paused"
	}
	if parents := t.Partitions / 2; parents > 0 { // the table counts the new ones already
		j.percent = 100 * max(0, parents-len(state)) / parents
	}
	return j, nil
}

func compactJob(ctx context.Context, a *admin.Admin, table string) (*job, error) {
	n, err := a.CompactionProgress(ctx, table)
	switch {
	case errors.Is(err, admin.ErrState) || err == nil && n >= 100:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &job{kind: "compact", object: table, state: "running", percent: n}, nil
}

// drains reads the lines of the drain status: ADDRESS draining leaders=N replicas=N
// … STATE. An empty node means all.
func (c *call) drains(ctx context.Context, a *admin.Admin, node string) ([]job, error) {
	text, err := c.session.metaCommand(ctx, a, "node.drain-status")
	if err != nil {
		return nil, err
	}
	var jobs []job
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] == "node" || fields[len(fields)-1] == "active" || node != "" && fields[0] != node {
			continue
		}
		j := job{kind: "drain", object: fields[0], state: fields[len(fields)-1]}
		var left []string
		for _, f := range fields {
			name, value, ok := strings.Cut(f, "=")
			if n, err := strconv.Atoi(value); ok && err == nil && n > 0 {
				left = append(left, fmt.Sprintf("%d %s", n, name))
			}
		}
		j.left = strings.Join(left, ", ")
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func runJobList(ctx context.Context, c *call) error {
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		tables, err := a.ListTables(ctx, admin.StatusAvailable)
		if err != nil {
			return err
		}
		var jobs []job
		for _, t := range tables {
			for _, look := range []func(context.Context, *admin.Admin, string) (*job, error){splitJob, compactJob} {
				j, err := look(ctx, a, t.Name)
				if err != nil && !errors.Is(err, client.ErrTableNotFound) { // dropped since it was listed
					return err
				}
				if j != nil {
					jobs = append(jobs, *j)
				}
			}
		}
		drains, err := c.drains(ctx, a, "")
		if err != nil {
			return err
		}
		r := c.open(render.Columns(jobColumns...), nil)
		for _, j := range append(jobs, drains...) {
			if err := r.Row(j.row()...); err != nil {
				return err
			}
		}
		s := render.Summary{}
		if len(jobs)+len(drains) == 0 {
			s.Text = "nothing runs in the background"
		}
		return c.done(s)
	})
}

func runJobShow(ctx context.Context, c *call) error {
	kind, object, err := jobName(c.text(0))
	if err != nil {
		return err
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		j, err := c.findJob(ctx, a, kind, object)
		if err != nil {
			return err
		}
		if j == nil {
			return c.noJob()
		}
		r := c.open(render.Columns(jobColumns...), nil)
		if err := r.Row(j.row()...); err != nil {
			return err
		}
		return c.done(render.Summary{})
	})
}

// noJob says that the job does not run: it is done, or never was.
func (c *call) noJob() error {
	c.exit = ExitNotFound
	return c.done(render.Summary{Code: codeNotFound, Text: "no job " + c.text(0) + " is running"})
}

func runJobWait(ctx context.Context, c *call) error {
	kind, object, err := jobName(c.text(0))
	if err != nil {
		return err
	}
	return c.administerFor(ctx, jobWait, func(ctx context.Context, a *admin.Admin) error {
		for said := ""; ; {
			var j *job
			err := c.brief(ctx, func(ctx context.Context) (err error) {
				j, err = c.findJob(ctx, a, kind, object)
				return err
			})
			switch {
			case err != nil:
				return err
			case j == nil && said == "":
				return c.noJob()
			case j == nil || kind == "drain" && j.state != "moving": // a drained node stays so
				return c.done(render.Summary{Text: c.text(0) + " is done"})
			}
			if now := j.progress(); now != said {
				said = now
				c.say("%s", now)
			}
			if err := sleep(ctx, poll); err != nil {
				return err
			}
		}
	})
}

func (j job) progress() string {
	text := j.name() + ": " + j.state
	if j.percent != nil {
		text += fmt.Sprintf(", %v %%", j.percent)
	}
	if j.left != "" {
		text += ", left: " + j.left
	}
	return text
}

func runJobCancel(ctx context.Context, c *call) error {
	kind, object, err := jobName(c.text(0))
	if err != nil {
		return err
	}
	if kind == "compact" {
		return usagef("a compaction cannot be called off; it ends by itself, and job wait " + c.text(0) + " waits for it")
	}
	old := 0
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		p := plan{act: "cancel " + c.text(0), object: object}
		if kind == "split" {
			t, err := a.GetTable(ctx, object)
			old = t.Partitions / 2
			return p, err
		}
		return p, nil
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		if kind == "drain" {
			return c.metaSays(ctx, a, "node.resume", object)
		}
		if err := a.ControlSplit(ctx, object, admin.SplitCancel, admin.AllPartitions, old); err != nil {
			return err
		}
		return c.done(render.Summary{Text: "cancel split of " + quoted(object) + " succeed"})
	})
}
