package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// tick is the unit of times in /proc: USER_HZ, which is 100 on all machines
// that Go runs on.
const tick = time.Second / 100

// stat is what /proc says of a process.
type stat struct {
	pid, parent int
	cpu         time.Duration // user and system time, and that of children which have ended
}

// descendantsCPU returns what the processes that these have started have used
// so far, themselves not included: programs beside clients.
func descendantsCPU(pids []int) (sum time.Duration) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	children := map[int][]stat{}
	for _, name := range files {
		if s, ok := parseStat(os.ReadFile(name)); ok { // it may have ended
			children[s.parent] = append(children[s.parent], s)
		}
	}
	for len(pids) > 0 {
		for _, s := range children[pids[0]] {
			sum += s.cpu
			pids = append(pids, s.pid)
		}
		pids = pids[1:]
	}
	return sum
}

// parseStat reads /proc/PID/stat. What follows the name, which may hold
// anything, is in the order of proc_pid_stat(5), from field 3 on.
func parseStat(data []byte, err error) (s stat, ok bool) {
	i := bytes.LastIndex(data, []byte(") "))
	if err != nil || i < 0 {
		return s, false
	}
	fields := bytes.Fields(data[i+2:])
	if len(fields) < 15 {
		return s, false
	}
	var times [4]int64 // utime, stime, cutime, cstime
	for k := range times {
		if _, err := fmt.Sscan(string(fields[11+k]), &times[k]); err != nil {
			return s, false
		}
		s.cpu += time.Duration(times[k]) * tick
	}
	_, err1 := fmt.Sscan(string(data), &s.pid)
	_, err2 := fmt.Sscan(string(fields[1]), &s.parent)
	return s, err1 == nil && err2 == nil
}
