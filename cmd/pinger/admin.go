package main

import (
	"net"
	"os"
	"runtime/metrics"
)

// adminAnswer is what PINGER_ADMIN adds. It tells about the process and its network, so it is off unless asked for.
type adminAnswer struct {
	APIVersion  string              `json:"APIVersion"`
	ProcessID   int                 `json:"processId"`
	MemoryUsage memoryUsage         `json:"memoryUsage"`
	NetworkInfo map[string][]string `json:"networkInfo"`
}

type memoryUsage struct {
	// HeapBytes is live and not yet collected objects.
	HeapBytes uint64 `json:"heapBytes"`
	// TotalBytes is all memory that the Go runtime holds.
	TotalBytes uint64 `json:"totalBytes"`
}

func inspect(version string) *adminAnswer {
	return &adminAnswer{
		APIVersion:  version,
		ProcessID:   os.Getpid(),
		MemoryUsage: readMemory(),
		NetworkInfo: readNetwork(),
	}
}

func readMemory() memoryUsage {
	// runtime/metrics stops nothing, where runtime.ReadMemStats stops the world for each request.
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(samples)
	return memoryUsage{HeapBytes: samples[0].Value.Uint64(), TotalBytes: samples[1].Value.Uint64()}
}

// readNetwork is the addresses of each network interface, as far as the system tells.
func readNetwork() map[string][]string {
	info := map[string][]string{}
	interfaces, err := net.Interfaces()
	if err != nil {
		return info
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			info[i.Name] = append(info[i.Name], a.String())
		}
	}
	return info
}
