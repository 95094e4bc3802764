package command

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The commands of the tools of Pegasus, by tool.
var pegasus = map[string]string{
	"shell": `help version exit use cc escape_all timeout hash set multi_set get multi_get multi_get_range multi_get_sortkeys del multi_del
		multi_del_range incr check_and_set check_and_mutate exist count ttl hash_scan full_scan copy_data clear_data count_data ls app app_disk
		create drop recall rename get_app_envs set_app_envs del_app_envs clear_app_envs get_replica_count set_replica_count get_atomic_idempotent
		enable_atomic_idempotent disable_atomic_idempotent app_stat cluster_info nodes get_meta_level set_meta_level balance propose
		remote_command server_info server_stat flush_log detect_hotkey ddd_diagnose recover add_backup_policy ls_backup_policy
		query_backup_policy modify_backup_policy disable_backup_policy enable_backup_policy restore_app query_restore_status start_bulk_load
		query_bulk_load_status pause_bulk_load restart_bulk_load clear_bulk_load cancel_bulk_load add_dup query_dup dups remove_dup start_dup
		pause_dup set_dup_fail_mode local_get rdb_key_str2hex rdb_key_hex2str rdb_value_hex2str sst_dump mlog_dump local_partition_split`,
	"admin-cli": `use list-tables create drop recall table-partitions table-env.list table-env.set table-env.delete table-env.clear table-stat
		partition-stat node-stat nodes cluster-info server-info meta-level meta-level.set remote-command.meta remote-command.replica
		server-config.meta server-config.replica data-version disk-capacity disk-replica disk-migrate disk-balance add-disk nodes-balancer
		nodes-migrator table-migrator duplication.list duplication.add duplication.remove duplication.pause duplication.start
		manual-compaction.start manual-compaction.query add-compaction-operation partition-split.start partition-split.query
		partition-split.pause partition-split.restart partition-split.cancel bulk-load.start bulk-load.query bulk-load.pause bulk-load.restart
		bulk-load.clear bulk-load.cancel backup query-backup-status restore help exit clear`,
	"pegic": `use get set del scan partition-index encoding compression convert help exit clear`,
}

// Who comes from Pegasus finds every command, or is told why not, here and in the
// table of docs/shell.md.
func TestEveryPegasusCommandHasAnAnswer(t *testing.T) {
	b, err := os.ReadFile("../../docs/shell.md")
	require.NoError(t, err)
	_, tables, ok := strings.Cut(string(b), "## Commands of the Pegasus tools")
	require.True(t, ok)
	titles := map[string]string{"shell": "| Pegasus shell |", "admin-cli": "| admin-cli |", "pegic": "| pegic |"}
	for tool, list := range pegasus {
		_, rows, ok := strings.Cut(tables, titles[tool])
		require.True(t, ok, tool)
		rows, _, _ = strings.Cut(rows, "\n\n")
		documented := firstCells(rows)
		for _, name := range strings.Fields(list) {
			words := strings.Split(name, ".")
			v, used := find(words)
			reason := absent[words[0]]
			assert.True(t, v != nil && used > 0 || reason != "", "%s %v: neither a command nor a reason", tool, words)
			assert.True(t, covered(documented, words), "%s %v: not in docs/shell.md", tool, words)
		}
	}
}

// firstCells gives the words of the first column, row by row.
func firstCells(rows string) [][]string {
	word := regexp.MustCompile(`[a-z0-9_*-]+`)
	var all [][]string
	for _, row := range strings.Split(rows, "\n") {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			all = append(all, word.FindAllString(cells[1], -1))
		}
	}
	return all
}

// covered: the name stands in a cell, perhaps as a pattern such as *_dup, or as its
// end in a list, as in enable_, disable_x.
func covered(cells [][]string, words []string) bool {
	for _, cell := range cells {
		for i, word := range cell {
			match, err := path.Match(word, words[0])
			if err != nil || match {
				return err == nil
			}
			if strings.HasSuffix(word, "_") && i+1 < len(cell) && strings.HasPrefix(words[0], word) && strings.HasSuffix(cell[i+1], strings.TrimPrefix(words[0], word)) {
				return true
			}
		}
	}
	return false
}
