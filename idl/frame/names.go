package frame

import "github.com/arionkv/arion/idl/code"

// Names of calls.
const (
	// Data calls: header table id > 0.
	RPCPut            = "RPC_RRDB_RRDB_PUT"
	RPCMultiPut       = "RPC_RRDB_RRDB_MULTI_PUT"
	RPCRemove         = "RPC_RRDB_RRDB_REMOVE"
	RPCMultiRemove    = "RPC_RRDB_RRDB_MULTI_REMOVE"
	RPCIncr           = "RPC_RRDB_RRDB_INCR"
	RPCCheckAndSet    = "RPC_RRDB_RRDB_CHECK_AND_SET"
	RPCCheckAndMutate = "RPC_RRDB_RRDB_CHECK_AND_MUTATE"
	RPCDuplicate      = "RPC_RRDB_RRDB_DUPLICATE"
	RPCBulkLoad       = "RPC_RRDB_RRDB_BULK_LOAD"
	RPCGet            = "RPC_RRDB_RRDB_GET"
	RPCMultiGet       = "RPC_RRDB_RRDB_MULTI_GET"
	RPCBatchGet       = "RPC_RRDB_RRDB_BATCH_GET"
	RPCSortkeyCount   = "RPC_RRDB_RRDB_SORTKEY_COUNT"
	RPCTTL            = "RPC_RRDB_RRDB_TTL"
	RPCGetScanner     = "RPC_RRDB_RRDB_GET_SCANNER"
	RPCScan           = "RPC_RRDB_RRDB_SCAN"
	RPCClearScanner   = "RPC_RRDB_RRDB_CLEAR_SCANNER"

	// Calls to a meta server.
	RPCQueryConfig              = "RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX"
	RPCCreateApp                = "RPC_CM_CREATE_APP"
	RPCDropApp                  = "RPC_CM_DROP_APP"
	RPCRecallApp                = "RPC_CM_RECALL_APP"
	RPCRenameApp                = "RPC_CM_RENAME_APP"
	RPCListApps                 = "RPC_CM_LIST_APPS"
	RPCListNodes                = "RPC_CM_LIST_NODES"
	RPCClusterInfo              = "RPC_CM_CLUSTER_INFO"
	RPCControlMeta              = "RPC_CM_CONTROL_META"
	RPCProposeBalancer          = "RPC_CM_PROPOSE_BALANCER"
	RPCUpdateAppEnv             = "RPC_CM_UPDATE_APP_ENV"
	RPCDDDDiagnose              = "RPC_CM_DDD_DIAGNOSE"
	RPCStartRecovery            = "RPC_CM_START_RECOVERY"
	RPCStartManualCompact       = "RPC_CM_START_MANUAL_COMPACT"
	RPCQueryManualCompactStatus = "RPC_CM_QUERY_MANUAL_COMPACT_STATUS"
	RPCGetMaxReplicaCount       = "RPC_CM_GET_MAX_REPLICA_COUNT"
	RPCSetMaxReplicaCount       = "RPC_CM_SET_MAX_REPLICA_COUNT"
	RPCGetAtomicIdempotent      = "RPC_CM_GET_ATOMIC_IDEMPOTENT"
	RPCSetAtomicIdempotent      = "RPC_CM_SET_ATOMIC_IDEMPOTENT"
	RPCStartPartitionSplit      = "RPC_CM_START_PARTITION_SPLIT"
	RPCControlPartitionSplit    = "RPC_CM_CONTROL_PARTITION_SPLIT"
	RPCQueryPartitionSplit      = "RPC_CM_QUERY_PARTITION_SPLIT"
	RPCStartBackupApp           = "RPC_CM_START_BACKUP_APP"
	RPCQueryBackupStatus        = "RPC_CM_QUERY_BACKUP_STATUS"
	RPCAddBackupPolicy          = "RPC_CM_ADD_BACKUP_POLICY"
	RPCQueryBackupPolicy        = "RPC_CM_QUERY_BACKUP_POLICY"
	RPCModifyBackupPolicy       = "RPC_CM_MODIFY_BACKUP_POLICY"
	RPCStartRestore             = "RPC_CM_START_RESTORE"
	RPCQueryRestoreStatus       = "RPC_CM_QUERY_RESTORE_STATUS"
	RPCStartBulkLoad            = "RPC_CM_START_BULK_LOAD"
	RPCControlBulkLoad          = "RPC_CM_CONTROL_BULK_LOAD"
	RPCQueryBulkLoadStatus      = "RPC_CM_QUERY_BULK_LOAD_STATUS"
	RPCClearBulkLoad            = "RPC_CM_CLEAR_BULK_LOAD"
	RPCAddDuplication           = "RPC_CM_ADD_DUPLICATION"
	RPCQueryDuplication         = "RPC_CM_QUERY_DUPLICATION"
	RPCModifyDuplication        = "RPC_CM_MODIFY_DUPLICATION"
	RPCListDuplication          = "RPC_CM_LIST_DUPLICATION"

	// Calls to any node.
	RPCCLICall            = "RPC_CLI_CLI_CALL"
	RPCQueryDiskInfo      = "RPC_QUERY_DISK_INFO"
	RPCReplicaDiskMigrate = "RPC_REPLICA_DISK_MIGRATE"
	RPCDetectHotkey       = "RPC_DETECT_HOTKEY"
	RPCAddNewDisk         = "RPC_ADD_NEW_DISK"
	RPCQueryReplicaInfo   = "RPC_QUERY_REPLICA_INFO"
	RPCQueryAppInfo       = "RPC_QUERY_APP_INFO"
	RPCNegotiation        = "RPC_NEGOTIATION"

	// Calls between Arion's own servers.
	RPCArionSync         = "RPC_ARION_SYNC"
	RPCArionPoke         = "RPC_ARION_POKE"
	RPCArionChangeMember = "RPC_ARION_CHANGE_MEMBER"
	RPCArionStatus       = "RPC_ARION_STATUS"
	RPCArionMetaMember   = "RPC_ARION_META_MEMBER"
)

// knownNames lets a frame's name be looked up instead of copied.
var knownNames = func() map[string]string {
	m := make(map[string]string)
	for _, name := range [...]string{
		RPCPut, RPCMultiPut, RPCRemove, RPCMultiRemove, RPCIncr, RPCCheckAndSet,
		RPCCheckAndMutate, RPCDuplicate, RPCBulkLoad, RPCGet, RPCMultiGet, RPCBatchGet,
		RPCSortkeyCount, RPCTTL, RPCGetScanner, RPCScan, RPCClearScanner, RPCQueryConfig,
		RPCCreateApp, RPCDropApp, RPCRecallApp, RPCRenameApp, RPCListApps, RPCListNodes,
		RPCClusterInfo, RPCControlMeta, RPCProposeBalancer, RPCUpdateAppEnv, RPCDDDDiagnose, RPCStartRecovery,
		RPCStartManualCompact, RPCQueryManualCompactStatus, RPCGetMaxReplicaCount, RPCSetMaxReplicaCount, RPCGetAtomicIdempotent, RPCSetAtomicIdempotent,
		RPCStartPartitionSplit, RPCControlPartitionSplit, RPCQueryPartitionSplit, RPCStartBackupApp, RPCQueryBackupStatus, RPCAddBackupPolicy,
		RPCQueryBackupPolicy, RPCModifyBackupPolicy, RPCStartRestore, RPCQueryRestoreStatus, RPCStartBulkLoad, RPCControlBulkLoad,
		RPCQueryBulkLoadStatus, RPCClearBulkLoad, RPCAddDuplication, RPCQueryDuplication, RPCModifyDuplication, RPCListDuplication,
		RPCCLICall, RPCQueryDiskInfo, RPCReplicaDiskMigrate, RPCDetectHotkey, RPCAddNewDisk, RPCQueryReplicaInfo,
		RPCQueryAppInfo, RPCNegotiation, RPCArionSync, RPCArionPoke, RPCArionChangeMember, RPCArionStatus,
		RPCArionMetaMember,
	} {
		m[name] = name
	}
	return m
}()

// intern gives name as a string, without a copy if it is a known one.
func intern(name []byte) string {
	if s, ok := knownNames[string(name)]; ok {
		return s
	}
	return string(name)
}

// internErr is intern for the names of errors.
func internErr(name []byte) string {
	if c, ok := code.Parse(string(name)); ok {
		return c.String()
	}
	return string(name)
}
