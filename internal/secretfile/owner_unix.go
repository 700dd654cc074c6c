//go:build unix

package secretfile

import (
	"io/fs"
	"syscall"
)

func ownerOf(info fs.FileInfo) (at owner, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, false
	}
	return owner{int(stat.Uid), []int{int(stat.Gid)}}, true
}
