//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach keeps the Ctrl-C that is meant for this program from the browser.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
