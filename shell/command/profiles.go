package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/profile"
	"github.com/arionkv/arion/shell/render"
)

// profileVerbs keep named clusters.
func profileVerbs() []verb {
	return []verb{
		{
			use: "ctx add <context> <metas>", short: "keep a cluster under a name; secrets are given by reference",
			example: "ctx add local 127.0.0.1:34601 --default_table temp\nctx add prod 10.0.0.1:34601,10.0.0.2:34601 --tls_ca /etc/arion/ca.pem --tls_cert me.pem --tls_key env:ARION_KEY",
			min:     2, max: 2, flags: ctxFlags, run: runCtxAdd, local: true, related: []string{"ctx use", "ctx list"},
		}, {
			use: "ctx use <context>", short: "go over to a kept cluster, here and in later shells",
			example: "ctx use local\nctx use prod",
			min:     1, max: 1, run: runCtxUse, local: true,
		}, {
			use: "ctx list", short: "list the kept clusters",
			example: "ctx list\nctx list -o json",
			run:     runCtxList, local: true,
		}, {
			use: "ctx remove <context>", short: "forget a kept cluster",
			example: "ctx remove local\nctx remove prod",
			min:     1, max: 1, run: runCtxRemove, local: true,
		}, {
			use: "cc <context>", short: "go over to another cluster, by its name or its meta servers, in this shell only",
			example: "cc local\ncc 127.0.0.1:34601",
			min:     1, max: 1, run: runSwitch, local: true, related: []string{"ctx use"},
		}, {
			use: "config show", short: "show the settings of this shell; --origin tells where each comes from",
			example: "config show\nconfig show --origin",
			flags:   configFlags, run: runConfigShow, local: true,
		},
	}
}

func ctxFlags(f *pflag.FlagSet) {
	f.String("default_table", "", "table to use")
	f.String("default_timeout", "", "longest time of one command, such as 10s")
	f.String("default_output", "", "output format")
	f.String("tls_ca", "", "PEM file of who may sign the servers; encrypts the connections. Servers speak no TLS themselves: a proxy has to end it at the address of each")
	f.String("tls_cert", "", "PEM file of our certificate")
	f.String("tls_key", "", "its key, by reference: env:NAME, file:PATH or cmd:COMMAND")
}

func runCtxAdd(_ context.Context, c *call) error {
	p := &profile.Profile{
		Name: c.text(0), Metas: strings.Split(c.text(1), ","), Table: parse.Text(c.flagText("default_table")),
		Timeout: parse.Text(c.flagText("default_timeout")), Output: parse.Text(c.flagText("default_output")),
	}
	if p.Timeout != "" {
		if _, err := parseDuration(p.Timeout); err != nil {
			return err
		}
	}
	if p.Output != "" {
		if _, err := render.ParseFormat(p.Output); err != nil {
			return usagef(err.Error())
		}
	}
	ca, cert, key := parse.Text(c.flagText("tls_ca")), parse.Text(c.flagText("tls_cert")), parse.Text(c.flagText("tls_key"))
	if ca+cert+key != "" {
		p.TLS = &profile.TLS{CA: ca, Cert: cert}
		if (cert == "") != (key == "") {
			return usagef("--tls_cert and --tls_key belong together")
		}
		if key != "" {
			secret, err := profile.ParseSecret(key)
			if err != nil {
				return usagef(err.Error())
			}
			p.TLS.Key = secret
		}
	}
	if err := c.session.Profiles.Put(p); err != nil {
		return err
	}
	if p.TLS != nil {
		c.say("note: %s", tlsNote)
	}
	return c.ok()
}

// tlsNote is what who asks for TLS has to know.
const tlsNote = "servers speak no TLS themselves: a proxy has to end it at the address of every meta and replica server"

func runCtxUse(_ context.Context, c *call) error {
	p, err := c.kept(c.text(0))
	if err != nil {
		return err
	}
	if err := c.session.Profiles.Use(p.Name); err != nil {
		return err
	}
	c.session.Adopt(p)
	return c.ok()
}

func (c *call) kept(name string) (*profile.Profile, error) {
	p, err := c.session.Profiles.Get(name)
	if errors.Is(err, profile.ErrUnknown) {
		return nil, usagef(err.Error() + "; ctx list shows them")
	}
	return p, err
}

// Adopt goes over to the cluster of a profile.
func (s *Session) Adopt(p *profile.Profile) {
	s.Close()
	s.Profile, s.Metas = p, p.Metas
	s.names.forget()
	s.Table = p.Table
	s.Origins.set("context", "ctx use")
	s.Origins.set("meta", "profile "+p.Name)
	s.Origins.set("table", "profile "+p.Name)
	if d, err := time.ParseDuration(p.Timeout); err == nil {
		s.Timeout = d
		s.Origins.set("timeout", "profile "+p.Name)
	}
}

func runSwitch(_ context.Context, c *call) error {
	name := c.text(0)
	if strings.Contains(name, ":") {
		c.session.Adopt(&profile.Profile{Name: name, Metas: strings.Split(name, ",")})
		c.session.Profile = nil
		return c.ok()
	}
	p, err := c.kept(name)
	if err != nil {
		return err
	}
	c.session.Adopt(p)
	return c.ok()
}

func runCtxList(_ context.Context, c *call) error {
	all, used, err := c.session.Profiles.List()
	if err != nil {
		return err
	}
	r := c.open(render.Columns("context", "used", "meta", "table", "timeout", "output", "tls", "tls_key"), nil)
	for _, p := range all {
		secure, key := "no", any(nil)
		if p.TLS != nil {
			secure, key = "yes", orNil(string(p.TLS.Key)) // the reference, never the key
		}
		if err := r.Row(p.Name, p.Name == used, p.Metas, orNil(p.Table), orNil(p.Timeout), orNil(p.Output), secure, key); err != nil {
			return err
		}
	}
	return c.done(render.Summary{Local: true})
}

func runCtxRemove(_ context.Context, c *call) error {
	if _, err := c.kept(c.text(0)); err != nil {
		return err
	}
	if err := c.session.Profiles.Remove(c.text(0)); err != nil {
		return err
	}
	return c.ok()
}

// Origins says where each setting of a session comes from.
type Origins map[string]string

func (o *Origins) set(name, origin string) {
	if *o == nil {
		*o = Origins{}
	}
	(*o)[name] = origin
}

func configFlags(f *pflag.FlagSet) { f.Bool("origin", false, "show where each setting comes from") }

func runConfigShow(_ context.Context, c *call) error {
	s := c.session
	name := "-"
	if s.Profile != nil {
		name = s.Profile.Name
	}
	settings := []struct{ name, value string }{
		{"context", name}, {"meta", strings.Join(s.Metas, ",")}, {"table", cmp.Or(s.Table, "-")}, {"timeout", s.Timeout.String()},
		{"output", string(s.Printer.Format)}, {"bytes", string(s.Printer.Bytes)}, {"quiet", fmt.Sprint(s.Printer.Quiet)},
		{"yes", fmt.Sprint(s.Yes)}, {"enabled", fmt.Sprint(s.Enabled)}, {"profiles", cmp.Or(s.Profiles.Path, "-")},
		{"history", cmp.Or(os.Getenv("ARION_HISTORY"), "-")},
	}
	columns := render.Columns("setting", "value")
	if c.flagOn("origin") {
		columns = render.Columns("setting", "value", "origin")
	}
	r := c.open(columns, nil)
	for _, x := range settings {
		row := []any{x.name, x.value}
		if c.flagOn("origin") {
			row = append(row, cmp.Or(s.Origins[x.name], "default"))
		}
		if err := r.Row(row...); err != nil {
			return err
		}
	}
	return c.done(render.Summary{Local: true})
}
