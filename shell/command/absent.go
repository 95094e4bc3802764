package command

// absent are commands of the Pegasus tools that this shell does not have, with the
// reason and what to do instead. docs/shell.md has the same list.
var absent = map[string]string{
	"add_backup_policy": noBackup, "ls_backup_policy": noBackup, "query_backup_policy": noBackup, "modify_backup_policy": noBackup,
	"disable_backup_policy": noBackup, "enable_backup_policy": noBackup, "restore_app": noBackup, "query_restore_status": noBackup,
	"backup": noBackup, "query-backup-status": noBackup, "query_backup_status": noBackup, "restore": noBackup,
	"start_bulk_load": noBulkLoad, "query_bulk_load_status": noBulkLoad, "pause_bulk_load": noBulkLoad, "restart_bulk_load": noBulkLoad,
	"clear_bulk_load": noBulkLoad, "cancel_bulk_load": noBulkLoad, "bulk-load": noBulkLoad, "bulk_load": noBulkLoad,
	"add_dup": noDuplication, "query_dup": noDuplication, "dups": noDuplication, "remove_dup": noDuplication, "start_dup": noDuplication,
	"pause_dup": noDuplication, "set_dup_fail_mode": noDuplication, "duplication": noDuplication, "table-migrator": noDuplication,
	"recover":   "the meta servers keep the catalog in a raft group of their own; partition recover forms single partitions anew, arion meta recover the metas",
	"local_get": offline, "sst_dump": offline, "mlog_dump": offline, "rdb_value_hex2str": offline,
	"local_partition_split": "split start splits a table while it serves",
	"disk-migrate":          oneDisk, "disk-balance": oneDisk, "add-disk": oneDisk,
	"nodes-balancer":           "cluster level lively balances; cluster plan shows what it would move",
	"nodes-migrator":           "node drain moves everything off a node",
	"data-version":             "there is one version of stored values; arion offline shows it",
	"add-compaction-operation": "envs set user_specified_compaction takes the rules, where the server supports them",
	"encoding":                 "every argument says its own form: hex:, b64:, i64:, file:; --hex and --b64 choose the output",
	"compression":              "values are stored as they are given; storage compresses by itself",
	"node-stat":                "top -n 1 shows the load of each node, node list -d what it holds",
	"clear":                    "Ctrl-L clears the screen",
	"convert":                  "key encode and key decode turn keys into bytes and back",
}

const (
	noBackup      = "this server has no backup service; export writes a table to a file, import reads it back"
	noBulkLoad    = "this server has no bulk load from block storage; import loads files"
	noDuplication = "this server has no duplication; copy_data -c copies a table to another cluster"
	offline       = "arion offline --help: it reads the files of a stopped node"
	oneDisk       = "a node has one data directory: grow the volume under it, or add a node"
)
