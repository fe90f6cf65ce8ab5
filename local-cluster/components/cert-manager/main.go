// Command cert-manager runs cert-manager's controllers for self-signed and CA issuers in one process.
//
// The project publishes its command in a nested module that the module proxy does not carry, so this
// main wires the published packages: every controller that a package registers on import is built
// from one shared factory and run until SIGTERM or SIGINT.
package main

import (
	"context"
	"flag"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"

	"github.com/cert-manager/cert-manager/pkg/controller"

	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// workers is the number of objects each controller handles at once, cert-manager's own default.
const workers = 5

func main() {
	klog.InitFlags(nil)
	var (
		kubeconfig = flag.String("kubeconfig", "", "kubeconfig of the cluster; the pod's service account when empty")
		namespace  = flag.String("cluster-resource-namespace", "cert-manager", "where a ClusterIssuer's Secrets are looked up")
		qps        = flag.Float64("qps", 100, "API requests a second")
		burst      = flag.Int("burst", 200, "API requests at once")
	)
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, options(*kubeconfig, *namespace, float32(*qps), *burst)); err != nil {
		klog.Fatal(err)
	}
}

// options leaves everything at cert-manager's defaults that an issuer of kind selfSigned or CA needs.
// The ACME solver is never used, but its resource quantities are parsed at start-up.
func options(kubeconfig, namespace string, qps float32, burst int) controller.ContextOptions {
	unused := resource.MustParse("1m")
	return controller.ContextOptions{
		Kubeconfig:         kubeconfig,
		KubernetesAPIQPS:   qps,
		KubernetesAPIBurst: burst,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: namespace},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
		ACMEOptions: controller.ACMEOptions{
			HTTP01SolverResourceRequestCPU:    unused,
			HTTP01SolverResourceRequestMemory: unused,
			HTTP01SolverResourceLimitsCPU:     unused,
			HTTP01SolverResourceLimitsMemory:  unused,
		},
	}
}

func run(ctx context.Context, opts controller.ContextOptions) error {
	factory, err := controller.NewContextFactory(ctx, opts)
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}

	var running sync.WaitGroup
	for name, construct := range controller.Known() {
		c, err := construct(factory)
		if err != nil {
			return err
		}
		running.Go(func() {
			if err := c.Run(workers, ctx); err != nil {
				klog.ErrorS(err, "controller ended", "controller", name)
			}
		})
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	running.Wait()
	return nil
}
