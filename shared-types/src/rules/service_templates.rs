//! The rules of changes to Services. What Kubernetes would refuse in a Service is refused here already.

use super::Rules;

pub(super) fn rules(rules: &mut Rules, at: &str) {
    let item = format!("{at}[]");
    let spec = format!("{item}.spec");
    rules.bound(at, "maxItems", 16);
    rules.words(&format!("{item}.alias"));
    rules.some_words(
        &format!("{spec}.type"),
        &["ClusterIP", "NodePort", "LoadBalancer"],
    );
    rules.some_words(&format!("{spec}.externalTrafficPolicy"), &["Cluster", "Local"]);
    rules.port(&format!("{spec}.healthCheckNodePort"));
    ports(rules, &format!("{spec}.ports"));
    let outside = "has(self.type) && self.type in ['NodePort', 'LoadBalancer']";
    let balanced = "has(self.type) && self.type == 'LoadBalancer'";
    rules
        .rule(
            &spec,
            format!("!has(self.ports) || ({outside}) || self.ports.all(p, !has(p.nodePort))"),
            format!("{spec}.ports has a nodePort, which a Service inside the cluster has not: set type to NodePort or \
                     LoadBalancer, or remove nodePort"),
        )
        .field(".ports");
    rules
        .rule(
            &spec,
            format!("!has(self.externalTrafficPolicy) || self.externalTrafficPolicy == '' || ({outside}) || \
                     has(self.externalIPs)"),
            format!("{spec}.externalTrafficPolicy needs traffic from outside: set type to NodePort or LoadBalancer, or \
                     remove it"),
        )
        .field(".externalTrafficPolicy");
    rules
        .rule(
            &spec,
            format!("!has(self.loadBalancerSourceRanges) || ({balanced})"),
            format!("{spec}.loadBalancerSourceRanges needs a load balancer: set type to LoadBalancer, or remove it"),
        )
        .field(".loadBalancerSourceRanges");
    rules
        .rule(
            &spec,
            format!("!has(self.healthCheckNodePort) || (({balanced}) && has(self.externalTrafficPolicy) && \
                     self.externalTrafficPolicy == 'Local')"),
            format!("{spec}.healthCheckNodePort is for local traffic of a load balancer: set type to LoadBalancer and \
                     externalTrafficPolicy to Local, or remove it"),
        )
        .field(".healthCheckNodePort");
}

fn ports(rules: &mut Rules, at: &str) {
    let item = format!("{at}[]");
    rules.bound(at, "maxItems", 16);
    rules.bound(&format!("{item}.name"), "maxLength", 63);
    rules.port(&format!("{item}.port"));
    rules.port(&format!("{item}.nodePort"));
    rules.rule(
        &item,
        "has(self.name) && self.name != ''",
        format!("{item} has no name, by which ports are matched: set name to primary or pcp, or to metrics for alias stats"),
    );
    rules.rule(
        at,
        "self.all(a, self.exists_one(b, (has(a.name) ? a.name : '') == (has(b.name) ? b.name : '')))",
        format!("{at} has one name twice: give each port of a Service one entry"),
    );
    rules.rule(
        at,
        "self.all(a, self.exists_one(b, a.port == b.port))",
        format!("{at} has one port number twice: give each port of a Service its own"),
    );
}
