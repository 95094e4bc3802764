package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// checkVerbs write if a condition holds.
func checkVerbs() []verb {
	return []verb{
		{
			use:   "check_and_set <hash_key> -c <check_sort_key> -t <check> -s <set_sort_key> -v <value>",
			short: "write a record if a record of the same hash key passes a check",
			example: "check_and_set user1 -c state -t bytes_equal -o new -s state -v active\n" +
				"check_and_set user1 -c lock -t not_exist -s lock -v me -l 30",
			min: 1, max: 1, flags: checkAndSetFlags, run: runCheckAndSet,
		}, {
			use:   "check_and_mutate <hash_key> [set <sort_key> <value> [ttl] | del <sort_key>] ...",
			short: "write and delete records if a record of the same hash key passes a check",
			example: "check_and_mutate user1 -c state -t exist set name Ada del draft\n" +
				"check_and_mutate user1 -c state -t exist    # then lines of set and del, ended by ok or abort",
			min: 1, max: unlimited, flags: checkFlags, run: runCheckAndMutate,
		},
	}
}

// checkTypes are the tests in the order of their numbers on the wire.
var checkTypes = []struct {
	name string
	kind client.CheckType
}{
	{"not_exist", client.ValueNotExist},
	{"not_exist_or_empty", client.ValueNotExistOrEmpty},
	{"exist", client.ValueExist},
	{"not_empty", client.ValueNotEmpty},
	{"match_anywhere", client.ValueContains},
	{"match_prefix", client.ValueHasPrefix},
	{"match_postfix", client.ValueHasPostfix},
	{"bytes_less", client.BytesLess},
	{"bytes_less_or_equal", client.BytesLessOrEqual},
	{"bytes_equal", client.BytesEqual},
	{"bytes_greater_or_equal", client.BytesGreaterOrEqual},
	{"bytes_greater", client.BytesGreater},
	{"int_less", client.IntLess},
	{"int_less_or_equal", client.IntLessOrEqual},
	{"int_equal", client.IntEqual},
	{"int_greater_or_equal", client.IntGreaterOrEqual},
	{"int_greater", client.IntGreater},
}

func checkTypeNames() string {
	names := make([]string, len(checkTypes))
	for i, t := range checkTypes {
		names[i] = t.name
	}
	return strings.Join(names, ", ")
}

func checkFlags(f *pflag.FlagSet) {
	f.StringP("check_sort_key", "c", "", "sort key of the record to check (required)")
	f.StringP("check_type", "t", "", "the check (required): "+checkTypeNames())
	f.StringP("check_operand", "o", "", "what the value is compared with")
	f.BoolP("return_check_value", "r", false, "show the value that was checked")
}

func checkAndSetFlags(f *pflag.FlagSet) {
	checkFlags(f)
	f.StringP("set_sort_key", "s", "", "sort key of the record to write (required)")
	f.StringP("set_value", "v", "", "value to write (required)")
	f.StringP("set_value_ttl_seconds", "l", "0", "seconds the value lives; 0 = for ever")
}

// check reads the flags that both commands share.
func (c *call) check() (check client.Check, err error) {
	for _, name := range []string{"check_sort_key", "check_type"} {
		if !c.flags.Changed(name) {
			return check, usagef("--" + name + " is missing; help " + c.verb)
		}
	}
	if check.SortKey, err = c.flagBytes("check_sort_key"); err != nil {
		return check, err
	}
	name := parse.Text(c.flagText("check_type"))
	for _, t := range checkTypes {
		if t.name == name {
			check.Type = t.kind
		}
	}
	if check.Type == client.NoCheck {
		return check, usagef(fmt.Sprintf("--check_type is %q; known are %s", name, checkTypeNames()))
	}
	check.Operand, err = c.flagBytes("check_operand")
	check.ReturnValue = c.flagOn("return_check_value")
	return check, err
}

func runCheckAndSet(ctx context.Context, c *call) error {
	check, err := c.check()
	if err != nil {
		return err
	}
	put, err := c.putFlags()
	if err != nil {
		return err
	}
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		result, err := t.CheckAndSet(ctx, hashKey, check, put)
		if err != nil {
			return err
		}
		return c.checked(result, check, "Set")
	})
}

func (c *call) putFlags() (put client.Put, err error) {
	for _, name := range []string{"set_sort_key", "set_value"} {
		if !c.flags.Changed(name) {
			return put, usagef("--" + name + " is missing; help " + c.verb)
		}
	}
	if put.SortKey, err = c.flagBytes("set_sort_key"); err != nil {
		return put, err
	}
	if put.Value, err = c.flagBytes("set_value"); err != nil {
		return put, err
	}
	put.TTL, err = seconds("--set_value_ttl_seconds", parse.Text(c.flagText("set_value_ttl_seconds")))
	return put, err
}

func runCheckAndMutate(ctx context.Context, c *call) error {
	check, err := c.check()
	if err != nil {
		return err
	}
	mutations, err := c.mutations(c.args[1:])
	if err != nil {
		return err
	}
	if len(mutations) == 0 {
		if mutations, err = c.askMutations(); err != nil {
			return err
		}
	}
	if len(mutations) == 0 {
		return c.done(render.Summary{Text: "Aborted, nothing was sent."})
	}
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		result, err := t.CheckAndMutate(ctx, hashKey, check, mutations)
		if err != nil {
			return err
		}
		return c.checked(result, check, "Mutate")
	})
}

// mutations reads `set <sort_key> <value> [ttl]` and `del <sort_key>`, any
// number of them in a row.
func (c *call) mutations(args []string) ([]client.Mutation, error) {
	var all []client.Mutation
	for len(args) > 0 {
		m, used, err := c.mutation(args)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		args = args[used:]
	}
	return all, nil
}

func (c *call) mutation(args []string) (m client.Mutation, used int, err error) {
	const form = "a mutation is: set <sort_key> <value> [ttl], or del <sort_key>"
	switch verb := parse.Text(args[0]); {
	case verb == "del" && len(args) >= 2:
		sortKey, err := c.decode(args[1])
		return client.DeleteMutation(sortKey), 2, err
	case verb == "set" && len(args) >= 3:
		sortKey, err := c.decode(args[1])
		if err != nil {
			return m, 0, err
		}
		value, err := c.decode(args[2])
		if err != nil || len(args) == 3 || !isNumber(args[3]) {
			return client.PutMutation(sortKey, value, 0), 3, err
		}
		ttl, err := seconds("ttl", args[3])
		return client.PutMutation(sortKey, value, ttl), 4, err
	}
	return m, 0, usagef(form)
}

func isNumber(arg string) bool {
	_, err := strconv.ParseUint(arg, 10, 64)
	return err == nil
}

// askMutations reads lines of mutations up to ok or abort.
func (c *call) askMutations() ([]client.Mutation, error) {
	var all []client.Mutation
	for c.session.More != nil {
		text, err := c.session.More("mutation> ")
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		commands, err := parse.Line(text)
		if err != nil {
			return nil, err
		}
		for _, words := range commands {
			switch words[0].Text {
			case "ok":
				return all, nil
			case "abort":
				return nil, nil
			}
			more, err := c.mutations(parse.Args(words))
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return nil, usagef("no mutations; give them on the line, or on lines of their own that end with ok")
}

// checked shows the outcome of a conditional write.
func (c *call) checked(result client.CheckResult, check client.Check, what string) error {
	s := render.Summary{
		Text:   what + " succeed.",
		Fields: []render.Field{{Name: "passed", Value: result.Passed}},
	}
	if !result.Passed {
		s.Text = what + " failed, because check not passed."
	}
	if check.ReturnValue {
		value, text := any(nil), "Check value not exist."
		if result.Exist {
			value = render.Bytes(result.Value)
			text = "Check value: " + c.session.Printer.Text(value)
		}
		s.Text += "\n" + text
		s.Fields = append(s.Fields, render.Field{Name: "check_value_exist", Value: result.Exist}, render.Field{Name: "check_value", Value: value})
	}
	if !result.Passed {
		return c.negative(codeNotMet, s)
	}
	return c.answered(s)
}
