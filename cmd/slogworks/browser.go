package main

import (
	"fmt"
	"os/exec"
	"runtime"
)

// openBrowser shows the URL in the browser, and returns when that is under way,
// or when the browser ends if it was not running before.
func openBrowser(url string) error {
	cmd := browserCommand(runtime.GOOS, url)
	detach(cmd)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("--open: %s: %w; open the address of the page yourself", cmd.Args[0], err)
	}
	return nil
}

// browserCommand is what opens a URL on the system.
func browserCommand(goos, url string) *exec.Cmd {
	switch goos {
	case "darwin":
		return exec.Command("open", url)
	case "windows":
		return exec.Command("rundll32", "url.dll,FileProtocolHandler", url)
	}
	return exec.Command("xdg-open", url)
}
