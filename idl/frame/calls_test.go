package frame_test

import (
	"bytes"
	"context"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

// call makes empty arguments and results of one RPC; result nil: never answered.
type call struct{ arg, result func() frame.Message }

func make2[A, R any, PA interface {
	*A
	frame.Message
}, PR interface {
	*R
	frame.Message
}]() call {
	return call{
		arg:    func() frame.Message { return PA(new(A)) },
		result: func() frame.Message { return PR(new(R)) },
	}
}

// calls is what travels under which name.
var calls = map[string]call{
	frame.RPCPut:            make2[rrdb.UpdateRequest, rrdb.UpdateResponse](),
	frame.RPCMultiPut:       make2[rrdb.MultiPutRequest, rrdb.UpdateResponse](),
	frame.RPCRemove:         make2[base.Blob, rrdb.UpdateResponse](),
	frame.RPCMultiRemove:    make2[rrdb.MultiRemoveRequest, rrdb.MultiRemoveResponse](),
	frame.RPCIncr:           make2[rrdb.IncrRequest, rrdb.IncrResponse](),
	frame.RPCCheckAndSet:    make2[rrdb.CheckAndSetRequest, rrdb.CheckAndSetResponse](),
	frame.RPCCheckAndMutate: make2[rrdb.CheckAndMutateRequest, rrdb.CheckAndMutateResponse](),
	frame.RPCGet:            make2[base.Blob, rrdb.ReadResponse](),
	frame.RPCMultiGet:       make2[rrdb.MultiGetRequest, rrdb.MultiGetResponse](),
	frame.RPCBatchGet:       make2[rrdb.BatchGetRequest, rrdb.BatchGetResponse](),
	frame.RPCSortkeyCount:   make2[base.Blob, rrdb.CountResponse](),
	frame.RPCTTL:            make2[base.Blob, rrdb.TTLResponse](),
	frame.RPCGetScanner:     make2[rrdb.GetScannerRequest, rrdb.ScanResponse](),
	frame.RPCScan:           make2[rrdb.ScanRequest, rrdb.ScanResponse](),
	frame.RPCClearScanner:   {arg: func() frame.Message { return new(base.Int64) }},

	frame.RPCQueryConfig:              make2[admin.QueryCfgRequest, admin.QueryCfgResponse](),
	frame.RPCCreateApp:                make2[admin.ConfigurationCreateAppRequest, admin.ConfigurationCreateAppResponse](),
	frame.RPCDropApp:                  make2[admin.ConfigurationDropAppRequest, admin.ConfigurationDropAppResponse](),
	frame.RPCRecallApp:                make2[admin.ConfigurationRecallAppRequest, admin.ConfigurationRecallAppResponse](),
	frame.RPCRenameApp:                make2[admin.ConfigurationRenameAppRequest, admin.ConfigurationRenameAppResponse](),
	frame.RPCListApps:                 make2[admin.ConfigurationListAppsRequest, admin.ConfigurationListAppsResponse](),
	frame.RPCListNodes:                make2[admin.ConfigurationListNodesRequest, admin.ConfigurationListNodesResponse](),
	frame.RPCClusterInfo:              make2[admin.ConfigurationClusterInfoRequest, admin.ConfigurationClusterInfoResponse](),
	frame.RPCControlMeta:              make2[admin.ConfigurationMetaControlRequest, admin.ConfigurationMetaControlResponse](),
	frame.RPCProposeBalancer:          make2[admin.ConfigurationBalancerRequest, admin.ConfigurationBalancerResponse](),
	frame.RPCUpdateAppEnv:             make2[admin.ConfigurationUpdateAppEnvRequest, admin.ConfigurationUpdateAppEnvResponse](),
	frame.RPCDDDDiagnose:              make2[admin.DddDiagnoseRequest, admin.DddDiagnoseResponse](),
	frame.RPCStartRecovery:            make2[admin.ConfigurationRecoveryRequest, admin.ConfigurationRecoveryResponse](),
	frame.RPCStartManualCompact:       make2[admin.StartAppManualCompactRequest, admin.StartAppManualCompactResponse](),
	frame.RPCQueryManualCompactStatus: make2[admin.QueryAppManualCompactRequest, admin.QueryAppManualCompactResponse](),
	frame.RPCGetMaxReplicaCount:       make2[admin.ConfigurationGetMaxReplicaCountRequest, admin.ConfigurationGetMaxReplicaCountResponse](),
	frame.RPCSetMaxReplicaCount:       make2[admin.ConfigurationSetMaxReplicaCountRequest, admin.ConfigurationSetMaxReplicaCountResponse](),
	frame.RPCGetAtomicIdempotent:      make2[admin.ConfigurationGetAtomicIdempotentRequest, admin.ConfigurationGetAtomicIdempotentResponse](),
	frame.RPCSetAtomicIdempotent:      make2[admin.ConfigurationSetAtomicIdempotentRequest, admin.ConfigurationSetAtomicIdempotentResponse](),
	frame.RPCStartPartitionSplit:      make2[admin.StartPartitionSplitRequest, admin.StartPartitionSplitResponse](),
	frame.RPCControlPartitionSplit:    make2[admin.ControlSplitRequest, admin.ControlSplitResponse](),
	frame.RPCQueryPartitionSplit:      make2[admin.QuerySplitRequest, admin.QuerySplitResponse](),
	frame.RPCStartBackupApp:           make2[admin.StartBackupAppRequest, admin.StartBackupAppResponse](),
	frame.RPCQueryBackupStatus:        make2[admin.QueryBackupStatusRequest, admin.QueryBackupStatusResponse](),
	frame.RPCAddBackupPolicy:          make2[admin.ConfigurationAddBackupPolicyRequest, admin.ConfigurationAddBackupPolicyResponse](),
	frame.RPCQueryBackupPolicy:        make2[admin.ConfigurationQueryBackupPolicyRequest, admin.ConfigurationQueryBackupPolicyResponse](),
	frame.RPCModifyBackupPolicy:       make2[admin.ConfigurationModifyBackupPolicyRequest, admin.ConfigurationModifyBackupPolicyResponse](),
	frame.RPCStartRestore:             make2[admin.ConfigurationRestoreRequest, admin.ConfigurationCreateAppResponse](),
	frame.RPCQueryRestoreStatus:       make2[admin.ConfigurationQueryRestoreRequest, admin.ConfigurationQueryRestoreResponse](),
	frame.RPCStartBulkLoad:            make2[admin.StartBulkLoadRequest, admin.StartBulkLoadResponse](),
	frame.RPCControlBulkLoad:          make2[admin.ControlBulkLoadRequest, admin.ControlBulkLoadResponse](),
	frame.RPCQueryBulkLoadStatus:      make2[admin.QueryBulkLoadRequest, admin.QueryBulkLoadResponse](),
	frame.RPCClearBulkLoad:            make2[admin.ClearBulkLoadStateRequest, admin.ClearBulkLoadStateResponse](),
	frame.RPCAddDuplication:           make2[admin.DuplicationAddRequest, admin.DuplicationAddResponse](),
	frame.RPCQueryDuplication:         make2[admin.DuplicationQueryRequest, admin.DuplicationQueryResponse](),
	frame.RPCModifyDuplication:        make2[admin.DuplicationModifyRequest, admin.DuplicationModifyResponse](),
	frame.RPCListDuplication:          make2[admin.DuplicationListRequest, admin.DuplicationListResponse](),

	frame.RPCCLICall:            make2[admin.Command, base.String](),
	frame.RPCQueryDiskInfo:      make2[admin.QueryDiskInfoRequest, admin.QueryDiskInfoResponse](),
	frame.RPCReplicaDiskMigrate: make2[admin.ReplicaDiskMigrateRequest, admin.ReplicaDiskMigrateResponse](),
	frame.RPCDetectHotkey:       make2[admin.DetectHotkeyRequest, admin.DetectHotkeyResponse](),
	frame.RPCAddNewDisk:         make2[admin.AddNewDiskRequest, admin.AddNewDiskResponse](),
	frame.RPCQueryReplicaInfo:   make2[admin.QueryReplicaInfoRequest, admin.QueryReplicaInfoResponse](),
	frame.RPCQueryAppInfo:       make2[admin.QueryAppInfoRequest, admin.QueryAppInfoResponse](),
	frame.RPCNegotiation:        make2[admin.NegotiationRequest, admin.NegotiationResponse](),

	frame.RPCArionSync:         make2[arion.SyncRequest, arion.SyncResponse](),
	frame.RPCArionPoke:         make2[arion.PokeRequest, arion.PokeResponse](),
	frame.RPCArionChangeMember: make2[arion.ChangeMemberRequest, arion.ChangeMemberResponse](),
	frame.RPCArionStatus:       make2[arion.StatusRequest, arion.StatusResponse](),
}

// raw is a payload written back as it came.
type raw []byte

func (raw) Read(context.Context, thrift.TProtocol) error { panic("raw is for writing") }

func (m raw) Write(ctx context.Context, p thrift.TProtocol) error {
	for _, b := range m {
		if err := p.WriteByte(ctx, int8(b)); err != nil {
			return err
		}
	}
	return nil
}

// rawOf takes the STOP of the enclosing struct off a payload.
func rawOf(payload []byte) raw { return raw(bytes.TrimSuffix(payload, []byte{0})) }
