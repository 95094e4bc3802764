package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/render"
)

// plan is what an administering verb is about to do.
type plan struct {
	act    string // "drop table "users""
	radius string // what it touches: "8 partitions, about 1.2 M records"
	// object is what a person at the prompt has to repeat. Empty for what does no
	// harm.
	object string
	// lost: what goes cannot be had back, so that scripts need --yes as well.
	lost bool
}

// proceed decides whether the verb may do what it plans. Unless it may, the
// result was ended here or the error says why.
//
// At the prompt, where slips happen, administration is read-only until enable,
// and what destroys asks for the name. A script says in writing what it wants: it
// runs, but for what cannot be undone, which needs --yes.
func (c *call) proceed(p plan) (bool, error) {
	s := c.session
	switch {
	case c.flagOn("dry_run"):
		return false, c.done(render.Summary{
			Text: "dry run: would " + p.text(), Local: true,
			Fields: []render.Field{{Name: "dry_run", Value: true}, {Name: "would", Value: p.act}, {Name: "radius", Value: p.radius}},
		})
	case s.Yes || c.flagOn("yes"):
		return true, nil
	case s.Interactive && !s.Enabled:
		return false, &refusal{code: "READ_ONLY", what: c.verb + ": administration is read-only",
			cause: "this would " + p.text(), try: "enable, or the same with --yes; --dry-run only tells"}
	case s.Interactive && p.object != "":
		return c.confirm(p)
	case !s.Interactive && p.lost:
		return false, &refusal{code: "NOT_CONFIRMED", what: c.verb + ": this cannot be undone",
			cause: "it would " + p.text(), try: "the same with --yes, after a look with --dry-run"}
	}
	return true, nil
}

// change runs an administering verb in two steps, so that the time a person takes
// to answer is not that of the servers: look what would be touched, then do it.
func (c *call) change(ctx context.Context, look func(context.Context, *admin.Admin) (plan, error), act func(context.Context, *admin.Admin) error) error {
	return c.changeFor(ctx, c.session.Timeout, look, act)
}

func (c *call) changeFor(ctx context.Context, limit time.Duration, look func(context.Context, *admin.Admin) (plan, error), act func(context.Context, *admin.Admin) error) error {
	var p plan
	err := c.administer(ctx, func(ctx context.Context, a *admin.Admin) (err error) {
		p, err = look(ctx, a)
		return err
	})
	if err != nil {
		return err
	}
	if allowed, err := c.proceed(p); !allowed {
		return err
	}
	return c.administerFor(ctx, limit, act)
}

// brief runs one call of a job, whose own time limit is that of the whole job.
func (c *call) brief(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.session.Timeout)
	defer cancel()
	return f(ctx)
}

func (p plan) text() string {
	if p.radius == "" {
		return p.act
	}
	return p.act + ": " + p.radius
}

// confirm asks for the name of the object.
func (c *call) confirm(p plan) (bool, error) {
	fmt.Fprintf(c.session.Printer.Err, "This will %s.\n", render.SafeText(p.text()))
	answer, err := c.session.More("repeat " + render.SafeText(p.object) + " to go on: ")
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if strings.TrimSpace(answer) != p.object {
		return false, &refusal{code: "NOT_CONFIRMED", what: c.verb + ": not confirmed, nothing was sent"}
	}
	return true, nil
}

// refusal is the shell's own no.
type refusal struct{ code, what, cause, try string }

func (e *refusal) Error() string { return e.what }

func (e *refusal) failure() render.Failure {
	return render.Failure{What: e.what, Code: e.code, Cause: e.cause, Try: e.try, Exit: ExitRefused}
}
