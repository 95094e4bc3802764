package command

import (
	"context"
	"fmt"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
)

// refusal is a meta server's answer that is not ERR_OK, with its hint.
type refusal struct {
	code code.Code
	hint string
}

func (e *refusal) Error() string {
	if e.hint != "" {
		return e.hint
	}
	return e.code.String()
}

// Unwrap lets callers see the code.
func (e *refusal) Unwrap() error { return &code.Error{Code: e.code, Hint: e.hint} }

// meta runs one call of the meta service. outcome gives what the reply holds as
// error and hint.
func (c *call) meta(ctx context.Context, rpc string, arg, reply client.Message, repeatable bool, outcome func() (*base.ErrorCode, string)) error {
	conn, err := c.session.connect(ctx)
	if err != nil {
		return err
	}
	return conn.MetaCall(ctx, rpc, arg, reply, repeatable, func() error {
		result, hint := outcome()
		if result.Code() == code.OK {
			return nil
		}
		return &refusal{result.Code(), hint}
	})
}

// limited bounds ctx by the time of one command.
func (c *call) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.session.Timeout)
}

func (c *call) listTables(ctx context.Context, status admin.AppStatus) ([]*admin.AppInfo, error) {
	req := &admin.ConfigurationListAppsRequest{Status: status}
	var reply admin.ConfigurationListAppsResponse
	err := c.meta(ctx, "RPC_CM_LIST_APPS", req, &reply, true, func() (*base.ErrorCode, string) {
		return reply.Err, reply.GetHintMessage()
	})
	return reply.Infos, err
}

// tableInfo finds an available table.
func (c *call) tableInfo(ctx context.Context, name string) (*admin.AppInfo, error) {
	tables, err := c.listTables(ctx, admin.AppStatus_AS_AVAILABLE)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if t.AppName == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("table %s: %w", quoted(name), client.ErrTableNotFound)
}

// routing asks who holds the partitions of a table.
func (c *call) routing(ctx context.Context, table string) (*admin.QueryCfgResponse, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	conn, err := c.session.connect(ctx)
	if err != nil {
		return nil, err
	}
	return conn.QueryRouting(ctx, table)
}

// partitionOf finds one partition in a routing answer, nil when it is missing.
func partitionOf(routing *admin.QueryCfgResponse, index int32) *admin.PartitionConfiguration {
	for _, p := range routing.Partitions {
		if p.Pid != nil && p.Pid.PartitionIndex == index {
			return p
		}
	}
	return nil
}

// addressText shows an address; a partition without leader has none.
func addressText(a *base.RPCAddress) string {
	if a == nil || a.IsZero() {
		return "-"
	}
	return a.String()
}

func addressTexts(list []*base.RPCAddress) []string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = addressText(a)
	}
	return texts
}
