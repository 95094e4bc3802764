package bench

import "time"

// cpuUse is CPU time spent, and wall time.
type cpuUse struct {
	client, servers, wall time.Duration
	at                    time.Time
}

func cpuTimes(servers []int) cpuUse {
	u := cpuUse{client: ownCPU(), at: time.Now()}
	for _, pid := range servers {
		u.servers += ProcessCPU(pid)
	}
	return u
}

func (u cpuUse) since(before cpuUse) cpuUse {
	return cpuUse{client: u.client - before.client, servers: u.servers - before.servers, wall: u.at.Sub(before.at)}
}
