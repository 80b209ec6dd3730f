package sim

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Advice of madvise(2) that package syscall does not name.
const madvCollapse = 25 // MADV_COLLAPSE, since Linux 6.1

// hugePages asks for what is on the heap to be in pages of 2 MiB: a call
// touches a few dozen places in all of it, and each would be looked for in the
// page tables besides. Where the kernel will not, nothing changes but the speed.
func hugePages() {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		var mode string
		_, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode)
		fields := strings.Fields(lines.Text()) // address mode offset device inode [name]
		anonymous := len(fields) == 5 || strings.Contains(lines.Text(), "[anon:")
		if err == nil && mode == "rw-p" && anonymous && to-from >= 4<<20 {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_HUGEPAGE)
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, madvCollapse)
		}
	}
}
