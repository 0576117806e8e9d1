//! From the text of a failure to the kind of thing that went wrong.
//!
//! Texts of providers are read here and nowhere else. A text is asked only when something already says that it is a failure: the words
//! alone prove nothing.

use super::progress::CauseClass;

/// Words of a class, in lower case. Asked in this order: a quota refusal is also a 403, and an image that is missing is also an invalid
/// parameter.
const WORDS: [(CauseClass, &[&str]); 7] = [
    (
        CauseClass::Quota,
        &[
            "quotaexceeded",
            "quota_exceeded",
            "quota exceeded",
            "exceeded quota",
            "exceeding approved",
            "exceeds quota",
            "exceeds the quota",
            "exceeds your quota",
            "cores quota",
            "exceed quota",
            "insufficient quota",
            "vcpulimitexceeded",
            "instancelimitexceeded",
            "addresslimitexceeded",
            "vpclimitexceeded",
            "natgatewaylimitexceeded",
            "internetgatewaylimitexceeded",
            "subnetlimitexceeded",
            "securitygrouplimitexceeded",
            "routetablelimitexceeded",
            "volumelimitexceeded",
            "resourcelimitexceeded",
            "resourcequotaexceeded",
            "servicequotaexceeded",
            "limitexceededexception",
            "publicipcountlimitreached",
            "maximum number of addresses has been reached",
            "maximum number of vpcs has been reached",
        ],
    ),
    (
        CauseClass::Capacity,
        &[
            "insufficientinstancecapacity",
            "insufficienthostcapacity",
            "insufficientcapacity",
            "insufficient capacity",
            "zone_resource_pool_exhausted",
            "resource_pool_exhausted",
            "stockout",
            "skunotavailable",
            "sku not available",
            "allocationfailed",
            "overconstrained",
            "out of capacity",
            "does not have enough resources available",
            "no valid host was found",
        ],
    ),
    (
        CauseClass::Image,
        &[
            "imagepullbackoff",
            "errimagepull",
            "failed to pull image",
            "manifest unknown",
            "invalidamiid",
            "platformimagenotfound",
            "imagenotfound",
            "image not found",
            "failed to find ami",
            "galleryimagenotfound",
            "no image found",
        ],
    ),
    (
        CauseClass::Credentials,
        &[
            "aadsts",
            "invalidclientsecret",
            "invalid_client",
            "invalid_grant",
            "authorizationfailed",
            "linkedauthorizationfailed",
            "invalidauthenticationtoken",
            "clientsecretcredential",
            "unauthorizedoperation",
            "authfailure",
            "unauthenticated",
            "invalidclienttokenid",
            "unrecognizedclient",
            "signaturedoesnotmatch",
            "expiredtoken",
            "accessdenied",
            "access denied",
            "permission_denied",
            "permission denied",
            "insufficient permission",
            "insufficientpermissions",
            "does not have permission",
            "does not have authorization",
            "is not authorized to perform",
            "invalid credentials",
            "invalid credential",
            "no valid credential",
            "nocredentialproviders",
            "failed to refresh cached credentials",
            "could not find default credentials",
            "principalcredentialretrieval",
            "principalusageunauthorized",
            "credentialproviderbuild",
            "statuscode=401",
            "401 unauthorized",
            "error 401",
            "error 403",
            "status code: 403",
        ],
    ),
    (
        CauseClass::Network,
        &[
            "connection refused",
            "connection reset",
            "no such host",
            "no route to host",
            "network is unreachable",
            "tls handshake",
            "dial tcp",
            "i/o timeout",
            "server misbehaving",
            "unexpected eof",
        ],
    ),
    (
        CauseClass::Timeout,
        &["context deadline exceeded", "deadline_exceeded", "timed out", "timeout", "operation took longer", "took too long"],
    ),
    (
        CauseClass::InvalidConfiguration,
        &[
            "invalidparameter",
            "invalid parameter",
            "invalidconfiguration",
            "invalid configuration",
            "invalid value",
            "invalidsource",
            "invalidsubnet",
            "invalidvpc",
            "invalidkeypair",
            "invalidgroup",
            "invalidrequest",
            "badrequest",
            "is invalid",
            "validation failed",
            "validationerror",
            "failed validation",
            "don't meet the specifications of the schema",
            "unsupportedchange",
            "unsupportedoperation",
            "unsupported",
            "not supported",
            "malformed",
            "admission webhook",
            "skunotfound",
            "sku not found",
            "required value",
            "unknown field",
            "networkcidroverlap",
            "failed parsing",
            "parsing error",
            "can't evaluate field",
            "template is not valid",
            "error 400",
        ],
    ),
];

/// Words with which a cloud asks us to slow down: neither a limit of the account nor a failure.
const THROTTLED: [&str; 5] = ["requestlimitexceeded", "throttl", "toomanyrequests", "too many requests", "rate exceeded"];

/// The class that a failure's text names, or none.
pub(super) fn classify(text: &str) -> Option<CauseClass> {
    let text = text.to_lowercase();
    if THROTTLED.iter().any(|word| text.contains(word)) {
        return None;
    }
    if quota_in_other_words(&text) {
        return Some(CauseClass::Quota);
    }
    let class = WORDS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word))).map(|(class, _)| *class)?;
    // A cloud that has not yet heard of what it has just made answers `InvalidSubnetID.NotFound`; that is asked again.
    let is_lag = class == CauseClass::InvalidConfiguration && text.contains(".notfound");
    (!is_lag).then_some(class)
}

/// `OperationNotAllowed` alone is not a quota refusal; GCP puts the metric's name between the two words.
fn quota_in_other_words(text: &str) -> bool {
    let azure = text.contains("operationnotallowed") && ["quota", "cores", "current limit"].iter().any(|word| text.contains(word));
    let named = text.contains("quota") && ["exceeded", "exceeds", "exceeding"].iter().any(|word| text.contains(word));
    azure || named
}

/// Whether a cause of this class, once it has lasted, will not heal without somebody's doing.
pub(super) fn lasts(class: CauseClass) -> bool {
    match class {
        CauseClass::Quota | CauseClass::Credentials | CauseClass::Capacity | CauseClass::InvalidConfiguration | CauseClass::Image => true,
        CauseClass::Network | CauseClass::Timeout | CauseClass::Unknown => false,
    }
}

/// The class in a person's words, and what one can do about it.
pub(super) fn advice(class: CauseClass) -> (&'static str, &'static str) {
    match class {
        CauseClass::Quota => ("a quota is used up", "raise the quota at the provider or ask for fewer or smaller machines"),
        CauseClass::Credentials => ("the credential is refused", "check the Credential, its secret and its permissions at the provider"),
        CauseClass::Capacity => ("the provider has no such machine left", "choose another zone, region or machine type"),
        CauseClass::InvalidConfiguration => ("the configuration is refused", "correct the template or the values"),
        CauseClass::Network => ("something cannot be reached", "check the network between the management cluster and the provider"),
        CauseClass::Image => ("an image is not to be had", "check the image's name and the access to its registry or gallery"),
        CauseClass::Timeout => ("something took longer than its limit", "it is retried; look at the object if it goes on"),
        CauseClass::Unknown => ("something failed", "look at the object and at its controller's log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_each_providers_words() {
        for (text, class) in [
            (
                "OperationNotAllowed: Operation could not be completed as it results in exceeding approved Total Regional Cores quota",
                Some(CauseClass::Quota),
            ),
            ("OperationNotAllowed: the server is busy", None),
            ("googleapi: Error 403: Quota 'CPUS' exceeded. Limit: 24.0 in region europe-west1.", Some(CauseClass::Quota)),
            ("googleapi: Error 403: Required 'compute.networks.create' permission", Some(CauseClass::Credentials)),
            ("VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit", Some(CauseClass::Quota)),
            ("InsufficientInstanceCapacity: We currently do not have sufficient m5.large capacity", Some(CauseClass::Capacity)),
            ("ZONE_RESOURCE_POOL_EXHAUSTED", Some(CauseClass::Capacity)),
            ("SkuNotAvailable: The requested VM size is not available", Some(CauseClass::Capacity)),
            ("AADSTS7000215: Invalid client secret provided", Some(CauseClass::Credentials)),
            ("UnauthorizedOperation: You are not authorized", Some(CauseClass::Credentials)),
            ("InvalidAMIID.NotFound: The image id does not exist", Some(CauseClass::Image)),
            ("failed to create or update. err: context deadline exceeded", Some(CauseClass::Timeout)),
            ("dial tcp 10.0.0.1:443: i/o timeout", Some(CauseClass::Network)),
            ("InvalidParameterValue: Invalid value 'x' for instanceType", Some(CauseClass::InvalidConfiguration)),
            ("RequestLimitExceeded: Request limit exceeded.", None),
            ("Waiting for the bootstrap provider", None),
        ] {
            assert_eq!(classify(text), class, "{text}");
        }
    }
}
