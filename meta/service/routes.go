package service

import (
	"context"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/rpc"
)

func (s *Service) registerTables(mux *rpc.Mux) {
	register(s, mux, call[admin.QueryCfgRequest, admin.QueryCfgResponse]{
		"RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX", readTimeout, false, s.queryConfig, s.noConfig})
	register(s, mux, call[admin.ConfigurationCreateAppRequest, admin.ConfigurationCreateAppResponse]{
		"RPC_CM_CREATE_APP", createTimeout, true, s.createTable,
		func(c code.Code, _ string) *admin.ConfigurationCreateAppResponse { return createReply(c, 0) }})
	register(s, mux, call[admin.ConfigurationDropAppRequest, admin.ConfigurationDropAppResponse]{
		"RPC_CM_DROP_APP", writeTimeout, true, s.dropTable, dropReply})
	register(s, mux, call[admin.ConfigurationRecallAppRequest, admin.ConfigurationRecallAppResponse]{
		"RPC_CM_RECALL_APP", createTimeout, true, s.recallTable, recallReply})
	register(s, mux, call[admin.ConfigurationRenameAppRequest, admin.ConfigurationRenameAppResponse]{
		"RPC_CM_RENAME_APP", writeTimeout, true, s.renameTable, renameReply})
	register(s, mux, call[admin.ConfigurationListAppsRequest, admin.ConfigurationListAppsResponse]{
		"RPC_CM_LIST_APPS", readTimeout, false, s.listTables, listReply})
	register(s, mux, call[admin.ConfigurationUpdateAppEnvRequest, admin.ConfigurationUpdateAppEnvResponse]{
		"RPC_CM_UPDATE_APP_ENV", writeTimeout, true, s.updateEnvs, envReply})
	register(s, mux, call[admin.StartAppManualCompactRequest, admin.StartAppManualCompactResponse]{
		"RPC_CM_START_MANUAL_COMPACT", writeTimeout, true, s.startCompaction, startCompactionReply})
	register(s, mux, call[admin.QueryAppManualCompactRequest, admin.QueryAppManualCompactResponse]{
		"RPC_CM_QUERY_MANUAL_COMPACT_STATUS", readTimeout, false, s.queryCompaction, queryCompactionReply})
	register(s, mux, call[admin.ConfigurationGetMaxReplicaCountRequest, admin.ConfigurationGetMaxReplicaCountResponse]{
		"RPC_CM_GET_MAX_REPLICA_COUNT", readTimeout, false, s.getReplicaCount, getCountReply})
	register(s, mux, call[admin.ConfigurationSetMaxReplicaCountRequest, admin.ConfigurationSetMaxReplicaCountResponse]{
		"RPC_CM_SET_MAX_REPLICA_COUNT", writeTimeout, true, s.setReplicaCount, setCountReply})
	register(s, mux, call[admin.ConfigurationGetAtomicIdempotentRequest, admin.ConfigurationGetAtomicIdempotentResponse]{
		"RPC_CM_GET_ATOMIC_IDEMPOTENT", readTimeout, false, s.getIdempotent, getIdempotentReply})
	register(s, mux, call[admin.ConfigurationSetAtomicIdempotentRequest, admin.ConfigurationSetAtomicIdempotentResponse]{
		"RPC_CM_SET_ATOMIC_IDEMPOTENT", writeTimeout, true, s.setIdempotent, setIdempotentReply})
}

func (s *Service) registerCluster(mux *rpc.Mux) {
	register(s, mux, call[admin.ConfigurationListNodesRequest, admin.ConfigurationListNodesResponse]{
		"RPC_CM_LIST_NODES", readTimeout, false, s.listNodes, nodesReply})
	register(s, mux, call[admin.ConfigurationClusterInfoRequest, admin.ConfigurationClusterInfoResponse]{
		"RPC_CM_CLUSTER_INFO", readTimeout, false, s.clusterInfo, clusterReply})
	register(s, mux, call[admin.ConfigurationMetaControlRequest, admin.ConfigurationMetaControlResponse]{
		"RPC_CM_CONTROL_META", writeTimeout, true, s.controlMeta, levelFailure})
	register(s, mux, call[admin.ConfigurationBalancerRequest, admin.ConfigurationBalancerResponse]{
		"RPC_CM_PROPOSE_BALANCER", writeTimeout, true, s.propose, proposeReply})
	register(s, mux, call[admin.DddDiagnoseRequest, admin.DddDiagnoseResponse]{
		"RPC_CM_DDD_DIAGNOSE", readTimeout, false, s.diagnose, diagnoseReply})
}

func (s *Service) registerSplit(mux *rpc.Mux) {
	register(s, mux, call[admin.StartPartitionSplitRequest, admin.StartPartitionSplitResponse]{
		"RPC_CM_START_PARTITION_SPLIT", writeTimeout, true, s.startSplit, startSplitReply})
	register(s, mux, call[admin.ControlSplitRequest, admin.ControlSplitResponse]{
		"RPC_CM_CONTROL_PARTITION_SPLIT", writeTimeout, true, s.controlSplit, controlSplitReply})
	register(s, mux, call[admin.QuerySplitRequest, admin.QuerySplitResponse]{
		"RPC_CM_QUERY_PARTITION_SPLIT", readTimeout, false, s.querySplit, querySplitReply})
}

// absent enters an RPC whose service this build does not have: the answer is the same every time and true on every meta.
func absent[Q, R any, PQ request[Q], PR response[R]](s *Service, mux *rpc.Mux, name string, reply *R) {
	register[Q, R, PQ, PR](s, mux, call[Q, R]{name: name, timeout: readTimeout,
		serve: func(context.Context, *Q) (*R, error) { return reply, nil },
		fail:  func(code.Code, string) *R { return reply }})
}

// registerAbsent enters what comes later. Each says so in its own reply, with the code that upstream has for a sub-service
// that is not configured.
func (s *Service) registerAbsent(mux *rpc.Mux) {
	const hint = "this service is not part of this release"
	text := hint
	err := func() *base.ErrorCode { return base.ErrorCodeOf(code.ServiceNotActive) }

	absent[admin.ConfigurationRecoveryRequest](s, mux, "RPC_CM_START_RECOVERY",
		&admin.ConfigurationRecoveryResponse{Err: base.ErrorCodeOf(code.ServiceAlreadyRunning), HintMessage: "the cluster is running: there is nothing to recover"})

	absent[admin.StartBackupAppRequest](s, mux, "RPC_CM_START_BACKUP_APP", &admin.StartBackupAppResponse{Err: err(), HintMessage: hint})
	absent[admin.QueryBackupStatusRequest](s, mux, "RPC_CM_QUERY_BACKUP_STATUS", &admin.QueryBackupStatusResponse{Err: err(), HintMessage: hint})
	absent[admin.ConfigurationAddBackupPolicyRequest](s, mux, "RPC_CM_ADD_BACKUP_POLICY", &admin.ConfigurationAddBackupPolicyResponse{Err: err(), HintMessage: hint})
	absent[admin.ConfigurationQueryBackupPolicyRequest](s, mux, "RPC_CM_QUERY_BACKUP_POLICY",
		&admin.ConfigurationQueryBackupPolicyResponse{Err: err(), Policys: []*admin.PolicyEntry{}, BackupInfos: [][]*admin.BackupEntry{}, HintMsg: &text})
	absent[admin.ConfigurationModifyBackupPolicyRequest](s, mux, "RPC_CM_MODIFY_BACKUP_POLICY", &admin.ConfigurationModifyBackupPolicyResponse{Err: err(), HintMessage: hint})
	absent[admin.ConfigurationRestoreRequest](s, mux, "RPC_CM_START_RESTORE", &admin.ConfigurationCreateAppResponse{Err: err(), Appid: -1})
	absent[admin.ConfigurationQueryRestoreRequest](s, mux, "RPC_CM_QUERY_RESTORE_STATUS",
		&admin.ConfigurationQueryRestoreResponse{Err: err(), RestoreStatus: []*base.ErrorCode{}, RestoreProgress: []int32{}})

	absent[admin.StartBulkLoadRequest](s, mux, "RPC_CM_START_BULK_LOAD", &admin.StartBulkLoadResponse{Err: err(), HintMsg: hint})
	absent[admin.ControlBulkLoadRequest](s, mux, "RPC_CM_CONTROL_BULK_LOAD", &admin.ControlBulkLoadResponse{Err: err(), HintMsg: &text})
	absent[admin.QueryBulkLoadRequest](s, mux, "RPC_CM_QUERY_BULK_LOAD_STATUS", &admin.QueryBulkLoadResponse{Err: err(),
		PartitionsStatus: []admin.BulkLoadStatus{}, BulkLoadStates: []map[*base.RPCAddress]*admin.PartitionBulkLoadState{}, HintMsg: &text})
	absent[admin.ClearBulkLoadStateRequest](s, mux, "RPC_CM_CLEAR_BULK_LOAD", &admin.ClearBulkLoadStateResponse{Err: err(), HintMsg: hint})

	absent[admin.DuplicationAddRequest](s, mux, "RPC_CM_ADD_DUPLICATION", &admin.DuplicationAddResponse{Err: err(), Hint: &text})
	absent[admin.DuplicationQueryRequest](s, mux, "RPC_CM_QUERY_DUPLICATION", &admin.DuplicationQueryResponse{Err: err(), EntryList: []*admin.DuplicationEntry{}})
	absent[admin.DuplicationModifyRequest](s, mux, "RPC_CM_MODIFY_DUPLICATION", &admin.DuplicationModifyResponse{Err: err()})
	absent[admin.DuplicationListRequest](s, mux, "RPC_CM_LIST_DUPLICATION",
		&admin.DuplicationListResponse{Err: err(), HintMessage: hint, AppStates: map[string]*admin.DuplicationAppState{}})
}
