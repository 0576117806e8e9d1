//! The kinds beyond the common ones that checks of networks, storage and platforms look at.
//!
//! Pure names. A kind that a cluster does not serve is never watched, and its checks are skipped with that reason.

use proreus_observe::KindRef;

macro_rules! kinds {
    ($($name:ident = $group:literal $kind:literal $resource:literal;)*) => {
        $(
            #[doc = concat!("`", $kind, "` of the group `", $group, "`.")]
            pub(super) const $name: KindRef = KindRef { group: $group, kind: $kind, resource: $resource };
        )*
    };
}

kinds! {
    API_SERVICE = "apiregistration.k8s.io" "APIService" "apiservices";
    APPLICATION = "argoproj.io" "Application" "applications";
    APPLICATION_SET = "argoproj.io" "ApplicationSet" "applicationsets";
    BUCKET = "source.toolkit.fluxcd.io" "Bucket" "buckets";
    CATALOG_SOURCE = "operators.coreos.com" "CatalogSource" "catalogsources";
    CERTIFICATE = "cert-manager.io" "Certificate" "certificates";
    CERTIFICATE_REQUEST = "cert-manager.io" "CertificateRequest" "certificaterequests";
    CHALLENGE = "acme.cert-manager.io" "Challenge" "challenges";
    CLUSTER = "cluster.x-k8s.io" "Cluster" "clusters";
    CLUSTER_DEPLOYMENT = "k0rdent.mirantis.com" "ClusterDeployment" "clusterdeployments";
    CLUSTER_ISSUER = "cert-manager.io" "ClusterIssuer" "clusterissuers";
    CLUSTER_ROLE = "rbac.authorization.k8s.io" "ClusterRole" "clusterroles";
    CLUSTER_SERVICE_VERSION = "operators.coreos.com" "ClusterServiceVersion" "clusterserviceversions";
    CUSTOM_RESOURCE_DEFINITION = "apiextensions.k8s.io" "CustomResourceDefinition" "customresourcedefinitions";
    ENDPOINTS = "" "Endpoints" "endpoints";
    GATEWAY = "gateway.networking.k8s.io" "Gateway" "gateways";
    GATEWAY_CLASS = "gateway.networking.k8s.io" "GatewayClass" "gatewayclasses";
    GIT_REPOSITORY = "source.toolkit.fluxcd.io" "GitRepository" "gitrepositories";
    GRPC_ROUTE = "gateway.networking.k8s.io" "GRPCRoute" "grpcroutes";
    HELM_CHART = "source.toolkit.fluxcd.io" "HelmChart" "helmcharts";
    HELM_RELEASE = "helm.toolkit.fluxcd.io" "HelmRelease" "helmreleases";
    HELM_REPOSITORY = "source.toolkit.fluxcd.io" "HelmRepository" "helmrepositories";
    HTTP_ROUTE = "gateway.networking.k8s.io" "HTTPRoute" "httproutes";
    IMAGE_REPOSITORY = "image.toolkit.fluxcd.io" "ImageRepository" "imagerepositories";
    IMAGE_UPDATE_AUTOMATION = "image.toolkit.fluxcd.io" "ImageUpdateAutomation" "imageupdateautomations";
    INGRESS_ROUTE_TCP = "traefik.io" "IngressRouteTCP" "ingressroutetcps";
    INSTALL_PLAN = "operators.coreos.com" "InstallPlan" "installplans";
    ISSUER = "cert-manager.io" "Issuer" "issuers";
    KUBEADM_CONTROL_PLANE = "controlplane.cluster.x-k8s.io" "KubeadmControlPlane" "kubeadmcontrolplanes";
    KUSTOMIZATION = "kustomize.toolkit.fluxcd.io" "Kustomization" "kustomizations";
    MACHINE = "cluster.x-k8s.io" "Machine" "machines";
    MACHINE_DEPLOYMENT = "cluster.x-k8s.io" "MachineDeployment" "machinedeployments";
    MACHINE_HEALTH_CHECK = "cluster.x-k8s.io" "MachineHealthCheck" "machinehealthchecks";
    MCP_SERVER = "mcpruntime.org" "MCPServer" "mcpservers";
    MUTATING_WEBHOOKS = "admissionregistration.k8s.io" "MutatingWebhookConfiguration" "mutatingwebhookconfigurations";
    NETWORK_POLICY = "networking.k8s.io" "NetworkPolicy" "networkpolicies";
    OCI_REPOSITORY = "source.toolkit.fluxcd.io" "OCIRepository" "ocirepositories";
    ORDER = "acme.cert-manager.io" "Order" "orders";
    ROLLOUT = "argoproj.io" "Rollout" "rollouts";
    SUBSCRIPTION = "operators.coreos.com" "Subscription" "subscriptions";
    TCP_ROUTE = "gateway.networking.k8s.io" "TCPRoute" "tcproutes";
    TLS_ROUTE = "gateway.networking.k8s.io" "TLSRoute" "tlsroutes";
    UDP_ROUTE = "gateway.networking.k8s.io" "UDPRoute" "udproutes";
    VALIDATING_WEBHOOKS = "admissionregistration.k8s.io" "ValidatingWebhookConfiguration" "validatingwebhookconfigurations";
    VOLUME_ATTACHMENT = "storage.k8s.io" "VolumeAttachment" "volumeattachments";
}
