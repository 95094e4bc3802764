package code

// The codes. The order is ours, not the wire's: peers exchange names. It is
// still never changed, since numbers end up in metrics and in test data.
const (
	OK Code = iota
	Unknown
	ServiceNotFound
	ServiceAlreadyRunning
	IOPending
	Timeout
	ServiceNotActive
	Busy
	NetworkInitFailed
	ForwardToOthers
	ObjectNotFound
	HandlerNotFound
	LearnFileFailed
	GetLearnStateFailed
	InvalidVersion
	InvalidParameters
	CapacityExceeded
	InvalidState
	InactiveState
	NotEnoughMember
	FileOperationFailed
	HandleEOF
	WrongChecksum
	InvalidData
	InvalidHandle
	IncompleteData
	VersionOutdated
	PathNotFound
	PathAlreadyExist
	AddressAlreadyUsed
	StateFreezed
	LocalAppFailure
	BindIOCPFailed
	NetworkStartFailed
	NotImplemented
	CheckpointFailed
	WrongTiming
	NoNeedOperate
	Corruption
	TryAgain
	ClusterNotFound
	ClusterAlreadyExist
	ServiceAlreadyExist
	Injected
	ReplicationFailure
	AppExist
	AppNotExist
	BusyCreating
	BusyDropping
	NetworkFailure
	UnderRecovery
	OperationDisabled
	Expired
	LockAlreadyExist
	HoldByOthers
	RecursiveLock
	NoOwner
	NodeAlreadyExist
	InconsistentState
	ArrayIndexOutOfRange
	AppDropped
	ZookeeperOperation
	ChildRegistered
	IngestionFailed
	Unauthenticated
	KRB5Internal
	SASLInternal
	SASLIncomplete
	ACLDeny
	Splitting
	ParentPartitionMisused
	ChildNotReady
	DiskInsufficient

	// Codes from here on break at least one kind of client when they appear in a
	// THFT frame. They may be used in the err field of a body.
	LearnerNotFound
	DirNotEmpty
	FSInternal
	IgnoreBadData
	MockInternal
	RetryExhausted
	SyncRangerPoliciesFailed
	RangerParseACL
	RangerPoliciesNoNeedUpdate
	RDBCorruption
	DiskIOError
	CurlFailed
	DupExist
	HTTPError
	NotMatched
	SessionReset
	ThreadInterrupted

	count
)

type entry struct {
	name      string
	class     Class
	frameSafe bool
	text      string
}

// table is indexed by Code. frameSafe follows the list of names that every
// known client can read in a frame; an unknown name there makes the go client
// stop reading its connection.
var table = [count]entry{
	OK:                         {"ERR_OK", ClassOK, true, "done"},
	Unknown:                    {"ERR_UNKNOWN", ClassUnknownOutcome, true, "the server failed in a way it cannot name; the operation may have run"},
	ServiceNotFound:            {"ERR_SERVICE_NOT_FOUND", ClassPermanent, true, "the named service does not exist"},
	ServiceAlreadyRunning:      {"ERR_SERVICE_ALREADY_RUNNING", ClassPermanent, true, "the service is running already"},
	IOPending:                  {"ERR_IO_PENDING", ClassRetryHere, true, "the operation has started and is not finished"},
	Timeout:                    {"ERR_TIMEOUT", ClassUnknownOutcome, true, "no answer in time; the operation may have run"},
	ServiceNotActive:           {"ERR_SERVICE_NOT_ACTIVE", ClassRetryHere, true, "the server is still starting or is shutting down"},
	Busy:                       {"ERR_BUSY", ClassRetryHere, true, "a queue is full or a limit is reached; come back later"},
	NetworkInitFailed:          {"ERR_NETWORK_INIT_FAILED", ClassPermanent, true, "the network layer could not be set up"},
	ForwardToOthers:            {"ERR_FORWARD_TO_OTHERS", ClassRetryElsewhere, true, "another server leads; the answer may name it"},
	ObjectNotFound:             {"ERR_OBJECT_NOT_FOUND", ClassRetryElsewhere, true, "this node does not hold the partition, or the named thing does not exist"},
	HandlerNotFound:            {"ERR_HANDLER_NOT_FOUND", ClassPermanent, true, "this server has no such call"},
	LearnFileFailed:            {"ERR_LEARN_FILE_FAILED", ClassRetryHere, true, "copying a replica's files failed"},
	GetLearnStateFailed:        {"ERR_GET_LEARN_STATE_FAILED", ClassRetryHere, true, "the state to copy a replica from could not be read"},
	InvalidVersion:             {"ERR_INVALID_VERSION", ClassPermanent, true, "the version is unknown or out of date"},
	InvalidParameters:          {"ERR_INVALID_PARAMETERS", ClassPermanent, true, "the request makes no sense"},
	CapacityExceeded:           {"ERR_CAPACITY_EXCEEDED", ClassRetryHere, true, "a quota is used up"},
	InvalidState:               {"ERR_INVALID_STATE", ClassRetryElsewhere, true, "this replica does not lead the partition"},
	InactiveState:              {"ERR_INACTIVE_STATE", ClassRetryElsewhere, true, "this replica is not serving"},
	NotEnoughMember:            {"ERR_NOT_ENOUGH_MEMBER", ClassRetryHere, true, "too few replicas are alive to take a write"},
	FileOperationFailed:        {"ERR_FILE_OPERATION_FAILED", ClassPermanent, true, "a file could not be read or written"},
	HandleEOF:                  {"ERR_HANDLE_EOF", ClassPermanent, true, "the end of the file was reached"},
	WrongChecksum:              {"ERR_WRONG_CHECKSUM", ClassPermanent, true, "a checksum does not match"},
	InvalidData:                {"ERR_INVALID_DATA", ClassPermanent, true, "the data is malformed or too large"},
	InvalidHandle:              {"ERR_INVALID_HANDLE", ClassPermanent, true, "the handle is not open"},
	IncompleteData:             {"ERR_INCOMPLETE_DATA", ClassPermanent, true, "only part of the data is there"},
	VersionOutdated:            {"ERR_VERSION_OUTDATED", ClassRetryElsewhere, true, "the caller's view of the configuration is old"},
	PathNotFound:               {"ERR_PATH_NOT_FOUND", ClassPermanent, true, "the path does not exist"},
	PathAlreadyExist:           {"ERR_PATH_ALREADY_EXIST", ClassPermanent, true, "the path exists already"},
	AddressAlreadyUsed:         {"ERR_ADDRESS_ALREADY_USED", ClassPermanent, true, "the listening address is taken"},
	StateFreezed:               {"ERR_STATE_FREEZED", ClassRetryHere, true, "the cluster's function level forbids the change"},
	LocalAppFailure:            {"ERR_LOCAL_APP_FAILURE", ClassPermanent, true, "the storage of the replica failed"},
	BindIOCPFailed:             {"ERR_BIND_IOCP_FAILED", ClassPermanent, true, "known to peers only; never raised here"},
	NetworkStartFailed:         {"ERR_NETWORK_START_FAILED", ClassPermanent, true, "the network layer could not be started"},
	NotImplemented:             {"ERR_NOT_IMPLEMENTED", ClassPermanent, true, "the server knows the call but does not provide it"},
	CheckpointFailed:           {"ERR_CHECKPOINT_FAILED", ClassPermanent, true, "no checkpoint could be made"},
	WrongTiming:                {"ERR_WRONG_TIMING", ClassRetryHere, true, "not possible at this moment"},
	NoNeedOperate:              {"ERR_NO_NEED_OPERATE", ClassPermanent, true, "there is nothing to do"},
	Corruption:                 {"ERR_CORRUPTION", ClassPermanent, true, "stored data is damaged"},
	TryAgain:                   {"ERR_TRY_AGAIN", ClassRetryHere, true, "a passing condition prevented the operation"},
	ClusterNotFound:            {"ERR_CLUSTER_NOT_FOUND", ClassPermanent, true, "the named cluster is unknown"},
	ClusterAlreadyExist:        {"ERR_CLUSTER_ALREADY_EXIST", ClassPermanent, true, "the named cluster is known already"},
	ServiceAlreadyExist:        {"ERR_SERVICE_ALREADY_EXIST", ClassPermanent, true, "the named service exists already"},
	Injected:                   {"ERR_INJECTED", ClassPermanent, true, "a failure injected by a test"},
	ReplicationFailure:         {"ERR_REPLICATION_FAILURE", ClassUnknownOutcome, true, "replication failed midway; the write may still be applied"},
	AppExist:                   {"ERR_APP_EXIST", ClassPermanent, true, "a table of this name exists"},
	AppNotExist:                {"ERR_APP_NOT_EXIST", ClassPermanent, true, "there is no such table"},
	BusyCreating:               {"ERR_BUSY_CREATING", ClassRetryHere, true, "the table is being created"},
	BusyDropping:               {"ERR_BUSY_DROPPING", ClassRetryHere, true, "the table is being dropped"},
	NetworkFailure:             {"ERR_NETWORK_FAILURE", ClassUnknownOutcome, true, "the connection broke; the operation may have run"},
	UnderRecovery:              {"ERR_UNDER_RECOVERY", ClassRetryHere, true, "the meta state is being rebuilt"},
	OperationDisabled:          {"ERR_OPERATION_DISABLED", ClassPermanent, true, "the operation is switched off"},
	Expired:                    {"ERR_EXPIRED", ClassPermanent, true, "the thing asked for has expired"},
	LockAlreadyExist:           {"ERR_LOCK_ALREADY_EXIST", ClassPermanent, true, "the lock exists already"},
	HoldByOthers:               {"ERR_HOLD_BY_OTHERS", ClassRetryHere, true, "someone else holds the lock"},
	RecursiveLock:              {"ERR_RECURSIVE_LOCK", ClassPermanent, true, "the caller holds the lock already"},
	NoOwner:                    {"ERR_NO_OWNER", ClassPermanent, true, "nobody holds the lock"},
	NodeAlreadyExist:           {"ERR_NODE_ALREADY_EXIST", ClassPermanent, true, "the node exists already"},
	InconsistentState:          {"ERR_INCONSISTENT_STATE", ClassPermanent, true, "two records contradict each other"},
	ArrayIndexOutOfRange:       {"ERR_ARRAY_INDEX_OUT_OF_RANGE", ClassPermanent, true, "an index is out of range"},
	AppDropped:                 {"ERR_APP_DROPPED", ClassPermanent, true, "the table has been dropped"},
	ZookeeperOperation:         {"ERR_ZOOKEEPER_OPERATION", ClassPermanent, true, "known to peers only; never raised here"},
	ChildRegistered:            {"ERR_CHILD_REGISTERED", ClassPermanent, true, "the new half of a splitting partition is registered already"},
	IngestionFailed:            {"ERR_INGESTION_FAILED", ClassPermanent, true, "bulk-loaded files could not be taken in"},
	Unauthenticated:            {"ERR_UNAUTHENTICATED", ClassPermanent, true, "the caller has not proved who it is"},
	KRB5Internal:               {"ERR_KRB5_INTERNAL", ClassPermanent, true, "kerberos failed"},
	SASLInternal:               {"ERR_SASL_INTERNAL", ClassPermanent, true, "the authentication layer failed"},
	SASLIncomplete:             {"ERR_SASL_INCOMPLETE", ClassPermanent, true, "the authentication exchange is not finished"},
	ACLDeny:                    {"ERR_ACL_DENY", ClassPermanent, true, "access control refuses the caller"},
	Splitting:                  {"ERR_SPLITTING", ClassRetryHere, true, "the partition is about to finish a split"},
	ParentPartitionMisused:     {"ERR_PARENT_PARTITION_MISUSED", ClassRetryElsewhere, true, "the key belongs to another partition since a split"},
	ChildNotReady:              {"ERR_CHILD_NOT_READY", ClassRetryHere, true, "the new half of a splitting partition is not ready"},
	DiskInsufficient:           {"ERR_DISK_INSUFFICIENT", ClassPermanent, true, "the disk is too full to take writes"},
	LearnerNotFound:            {"ERR_LEARNER_NOT_FOUND", ClassPermanent, false, "the replica to be filled is unknown"},
	DirNotEmpty:                {"ERR_DIR_NOT_EMPTY", ClassPermanent, false, "the directory is not empty"},
	FSInternal:                 {"ERR_FS_INTERNAL", ClassPermanent, false, "the remote file system failed"},
	IgnoreBadData:              {"ERR_IGNORE_BAD_DATA", ClassPermanent, false, "damaged data was left out"},
	MockInternal:               {"ERR_MOCK_INTERNAL", ClassPermanent, false, "known to peers only; never raised here"},
	RetryExhausted:             {"ERR_RETRY_EXHAUSTED", ClassPermanent, false, "all retries failed"},
	SyncRangerPoliciesFailed:   {"ERR_SYNC_RANGER_POLICIES_FAILED", ClassPermanent, false, "known to peers only; never raised here"},
	RangerParseACL:             {"ERR_RANGER_PARSE_ACL", ClassPermanent, false, "known to peers only; never raised here"},
	RangerPoliciesNoNeedUpdate: {"ERR_RANGER_POLICIES_NO_NEED_UPDATE", ClassPermanent, false, "known to peers only; never raised here"},
	RDBCorruption:              {"ERR_RDB_CORRUPTION", ClassPermanent, false, "the storage engine found damaged data"},
	DiskIOError:                {"ERR_DISK_IO_ERROR", ClassPermanent, false, "the disk failed"},
	CurlFailed:                 {"ERR_CURL_FAILED", ClassPermanent, false, "known to peers only; never raised here"},
	DupExist:                   {"ERR_DUP_EXIST", ClassPermanent, false, "the duplication exists already"},
	HTTPError:                  {"ERR_HTTP_ERROR", ClassPermanent, false, "an HTTP request failed"},
	NotMatched:                 {"ERR_NOT_MATCHED", ClassPermanent, false, "a pattern matches nothing"},
	SessionReset:               {"ERR_SESSION_RESET", ClassUnknownOutcome, false, "the connection was closed under the call; made by clients, never sent"},
	ThreadInterrupted:          {"ERR_THREAD_INTERRUPTED", ClassUnknownOutcome, false, "the caller was interrupted; made by clients, never sent"},
}
