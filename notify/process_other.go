//go:build !unix && !windows

package notify

import (
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

func killLeftovers(*exec.Cmd) {}

func signalOf(*os.ProcessState) string { return "" }
