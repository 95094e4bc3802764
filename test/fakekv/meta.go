package fakekv

import (
	"maps"
	"math/bits"
	"sort"
	"strings"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
)

func errName(c code.Code) *base.ErrorCode { return &base.ErrorCode{Errno: c.String()} }

// address gives a node's address in the wire's form.
func address(n *Node) *base.RPCAddress {
	if n == nil {
		return &base.RPCAddress{}
	}
	a, err := base.ParseRPCAddress(n.addr)
	if err != nil {
		panic(err) // we listen on IPv4 ourselves
	}
	return &a
}

// metaCall answers the meta server's calls.
func (c *Cluster) metaCall(h *frame.Header, args []byte) result {
	calls := map[string]func([]byte) frame.Message{
		"RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX": c.queryConfig,
		"RPC_CM_CREATE_APP":                      c.createApp,
		"RPC_CM_DROP_APP":                        c.dropApp,
		"RPC_CM_RECALL_APP":                      c.recallApp,
		"RPC_CM_RENAME_APP":                      c.renameApp,
		"RPC_CM_LIST_APPS":                       c.listApps,
		"RPC_CM_LIST_NODES":                      c.listNodes,
		"RPC_CM_CLUSTER_INFO":                    c.clusterInfo,
		"RPC_CM_CONTROL_META":                    c.controlMeta,
		"RPC_CM_UPDATE_APP_ENV":                  c.updateEnv,
		"RPC_CM_GET_MAX_REPLICA_COUNT":           c.getReplicaCount,
		"RPC_CM_SET_MAX_REPLICA_COUNT":           c.setReplicaCount,
	}
	call := calls[h.Name]
	if call == nil {
		return nodeCall(h, args)
	}
	body := call(args)
	if body == nil {
		return refuse(code.InvalidParameters)
	}
	return result{err: "ERR_OK", body: body}
}

// nodeCall answers what every server answers.
func nodeCall(h *frame.Header, args []byte) result {
	if h.Name != "RPC_CLI_CLI_CALL" {
		return refuse(code.HandlerNotFound)
	}
	q := admin.NewCommand()
	if frame.Decode(args, q) != nil {
		return refuse(code.InvalidParameters)
	}
	text := "unknown command " + q.Cmd
	switch q.Cmd {
	case "help":
		text = "commands: help, echo"
	case "echo":
		text = strings.Join(q.Arguments, " ")
	}
	return result{err: "ERR_OK", body: &base.String{V: text}}
}

func (c *Cluster) queryConfig(args []byte) frame.Message {
	q := admin.NewQueryCfgRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	out := &admin.QueryCfgResponse{Err: errName(code.OK), Partitions: []*admin.PartitionConfiguration{}}
	t := c.tables[q.AppName]
	if t == nil {
		out.Err = errName(code.ObjectNotFound)
		return out
	}
	out.AppID, out.PartitionCount, out.IsStateful = t.id, int32(len(t.parts)), true
	for i, p := range t.parts {
		pc := &admin.PartitionConfiguration{Pid: &base.Gpid{AppID: t.id, PartitionIndex: int32(i)}, Ballot: t.term,
			MaxReplicaCount: t.replicas, Primary: address(p.leader), Secondaries: []*base.RPCAddress{}, LastDrops: []*base.RPCAddress{}}
		for _, f := range p.followers {
			pc.Secondaries = append(pc.Secondaries, address(f))
		}
		out.Partitions = append(out.Partitions, pc)
	}
	return out
}

func (c *Cluster) createApp(args []byte) frame.Message {
	q := admin.NewConfigurationCreateAppRequest()
	if frame.Decode(args, q) != nil || q.Options == nil {
		return nil
	}
	out := &admin.ConfigurationCreateAppResponse{Err: errName(code.OK)}
	n := int(q.Options.PartitionCount)
	t := c.tables[q.AppName]
	switch {
	case n < 1 || n > 1<<16 || bits.OnesCount(uint(n)) != 1 || q.Options.ReplicaCount < 1 || int(q.Options.ReplicaCount) > len(c.nodes):
		out.Err = errName(code.InvalidParameters)
	case t == nil:
		out.Appid = c.createLocked(q.AppName, n, q.Options.ReplicaCount, q.Options.Envs).id
	case !q.Options.SuccessIfExist:
		out.Err = errName(code.AppExist)
	case len(t.parts) != n || t.replicas != q.Options.ReplicaCount:
		out.Err = errName(code.InvalidParameters)
	default:
		out.Appid = t.id
	}
	return out
}

func (c *Cluster) dropApp(args []byte) frame.Message {
	q := admin.NewConfigurationDropAppRequest()
	if frame.Decode(args, q) != nil || q.Options == nil {
		return nil
	}
	out := &admin.ConfigurationDropAppResponse{Err: errName(code.OK)}
	if t := c.tables[q.AppName]; t != nil {
		t.dropped = true
		delete(c.tables, q.AppName)
	} else if !q.Options.SuccessIfNotExist {
		out.Err = errName(code.AppNotExist)
	}
	return out
}

func (c *Cluster) recallApp(args []byte) frame.Message {
	q := admin.NewConfigurationRecallAppRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	out := &admin.ConfigurationRecallAppResponse{Err: errName(code.OK), Info: admin.NewAppInfo()}
	t := c.byID[q.AppID]
	switch {
	case t == nil:
		out.Err = errName(code.AppNotExist)
		return out
	case !t.dropped:
		out.Err = errName(code.AppExist)
		return out
	}
	if q.NewAppName_ != "" {
		t.name = q.NewAppName_
	}
	if c.tables[t.name] != nil {
		out.Err = errName(code.InvalidParameters)
		return out
	}
	t.dropped = false
	c.tables[t.name] = t
	out.Info = t.info()
	return out
}

func (c *Cluster) renameApp(args []byte) frame.Message {
	q := admin.NewConfigurationRenameAppRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	out := &admin.ConfigurationRenameAppResponse{Err: errName(code.OK)}
	t := c.tables[q.OldAppName]
	switch {
	case t == nil:
		out.Err, out.HintMessage = errName(code.AppNotExist), "no such table"
	case c.tables[q.NewAppName_] != nil:
		out.Err, out.HintMessage = errName(code.InvalidParameters), "the new name is taken"
	default:
		delete(c.tables, t.name)
		t.name = q.NewAppName_
		c.tables[t.name] = t
	}
	return out
}

func (t *table) info() *admin.AppInfo {
	i := admin.NewAppInfo()
	i.Status, i.AppType, i.AppName, i.AppID = admin.AppStatus_AS_AVAILABLE, "pegasus", t.name, t.id
	i.PartitionCount, i.Envs, i.IsStateful, i.MaxReplicaCount = int32(len(t.parts)), maps.Clone(t.envs), true, t.replicas
	if t.dropped {
		i.Status = admin.AppStatus_AS_DROPPED
	}
	return i
}

func (c *Cluster) listApps(args []byte) frame.Message {
	q := admin.NewConfigurationListAppsRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	out := &admin.ConfigurationListAppsResponse{Err: errName(code.OK), Infos: []*admin.AppInfo{}}
	for _, t := range c.byID {
		if i := t.info(); q.Status == admin.AppStatus_AS_INVALID || q.Status == i.Status {
			out.Infos = append(out.Infos, i)
		}
	}
	sort.Slice(out.Infos, func(i, j int) bool { return out.Infos[i].AppID < out.Infos[j].AppID })
	return out
}

func (c *Cluster) listNodes([]byte) frame.Message {
	out := &admin.ConfigurationListNodesResponse{Err: errName(code.OK), Infos: []*admin.NodeInfo{}}
	for _, n := range c.nodes {
		out.Infos = append(out.Infos, &admin.NodeInfo{Status: admin.NodeStatus_NS_ALIVE, Node: address(n)})
	}
	return out
}

func (c *Cluster) clusterInfo([]byte) frame.Message {
	return &admin.ConfigurationClusterInfoResponse{Err: errName(code.OK),
		Keys:   []string{"meta_servers", "primary_meta_server", "cluster_name"},
		Values: []string{strings.Join(c.Metas(), ","), c.metas[0].addr, "fakekv"}}
}

func (c *Cluster) controlMeta(args []byte) frame.Message {
	q := admin.NewConfigurationMetaControlRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	out := &admin.ConfigurationMetaControlResponse{Err: errName(code.OK), OldLevel: admin.MetaFunctionLevel(c.level)}
	if q.Level != admin.MetaFunctionLevel_fl_invalid {
		c.level = int32(q.Level)
	}
	return out
}

func (c *Cluster) updateEnv(args []byte) frame.Message {
	q := admin.NewConfigurationUpdateAppEnvRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	out := &admin.ConfigurationUpdateAppEnvResponse{Err: errName(code.OK)}
	t := c.tables[q.AppName]
	if t == nil {
		out.Err = errName(code.AppNotExist)
		return out
	}
	var gone []string
	switch q.Op {
	case admin.AppEnvOperation_APP_ENV_OP_SET:
		if len(q.Keys) == 0 || len(q.Keys) != len(q.Values) {
			out.Err = errName(code.InvalidParameters)
			return out
		}
		for i, k := range q.Keys {
			t.envs[k] = q.Values[i]
		}
		return out
	case admin.AppEnvOperation_APP_ENV_OP_DEL:
		gone = q.Keys
	case admin.AppEnvOperation_APP_ENV_OP_CLEAR:
		for k := range t.envs {
			if p := q.GetClearPrefix(); p == "" || strings.HasPrefix(k, p+".") {
				gone = append(gone, k)
			}
		}
	}
	out.HintMessage = "no key needs to be deleted"
	sort.Strings(gone)
	for i, k := range gone {
		if i == 0 {
			out.HintMessage = "deleted keys:"
		}
		out.HintMessage += "\n    " + k
		delete(t.envs, k)
	}
	return out
}

func (c *Cluster) getReplicaCount(args []byte) frame.Message {
	q := admin.NewConfigurationGetMaxReplicaCountRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	t := c.tables[q.AppName]
	if t == nil {
		return &admin.ConfigurationGetMaxReplicaCountResponse{Err: errName(code.AppNotExist)}
	}
	return &admin.ConfigurationGetMaxReplicaCountResponse{Err: errName(code.OK), MaxReplicaCount: t.replicas}
}

func (c *Cluster) setReplicaCount(args []byte) frame.Message {
	q := admin.NewConfigurationSetMaxReplicaCountRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	t := c.tables[q.AppName]
	if t == nil {
		return &admin.ConfigurationSetMaxReplicaCountResponse{Err: errName(code.AppNotExist)}
	}
	out := &admin.ConfigurationSetMaxReplicaCountResponse{Err: errName(code.OK), OldMaxReplicaCount: t.replicas}
	t.replicas = q.MaxReplicaCount
	return out
}
