// Command coredns is CoreDNS with only the plugins that the local cluster's Corefile names.
// Leaving the cloud providers' plugins out saves most of the build time.
package main

import (
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	coremain.Run()
}
