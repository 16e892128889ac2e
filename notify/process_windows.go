package notify

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate keeps the program from opening a console window. A process group
// would be no help: there is no signal that ends one.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true} }

func killLeftovers(*exec.Cmd) {}

func signalOf(*os.ProcessState) string { return "" }
