//! Model ids that are Amazon resource names.

use crate::error::{Error, Result};

/// Checks a model id before it goes into an address: an ARN must be whole, and of the endpoint's region. Any other id
/// passes. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
///
/// # Errors
/// `invalid_request` naming what is wrong with the ARN, or both regions.
pub fn check_model(model: &str, region: &str) -> Result<()> {
    if !model.starts_with("arn:") {
        return Ok(());
    }
    let bad = |why: &str| {
        let form = "arn:aws:bedrock:REGION:ACCOUNT:TYPE/ID";
        Err(Error::invalid_request(format!("the model `{model}` is no ARN of a model: {why}; its form is {form}"))
            .with_param("model"))
    };
    let parts: Vec<&str> = model.splitn(6, ':').collect();
    let &[_, partition, service, own_region, account, resource] = parts.as_slice() else {
        return bad("it has fewer than six parts");
    };
    if partition != "aws" && !partition.starts_with("aws-") {
        return bad("its partition is none of Amazon's");
    }
    if !matches!(service, "bedrock" | "sagemaker") {
        return bad("its service is neither bedrock nor sagemaker");
    }
    if own_region.is_empty() {
        return bad("it names no region");
    }
    if !account.is_empty() && (account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit())) {
        return bad("its account is not twelve digits");
    }
    if !resource.split_once('/').is_some_and(|(kind, id)| !kind.is_empty() && !id.is_empty()) {
        return bad("it names no resource");
    }
    if own_region != region {
        return Err(Error::invalid_request(format!(
            "the model's ARN belongs to the region {own_region}, and the request would go to {region}; set the region to \
             {own_region} or use an ARN of {region}"
        ))
        .with_param("model"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_must_be_whole_and_of_the_region() {
        let good = [
            "amazon.nova-lite-v1:0",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f",
            "arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine",
        ];
        for model in good {
            check_model(model, "us-east-1").unwrap();
        }
        let bad = [
            ("arn:aws:bedrock:us-east-1", "six parts"),
            ("arn:aws:bedrock:us-east-1:123456789012:", "no resource"),
            ("arn:aws:bedrock:us-east-1:123456789012:inference-profile", "no resource"),
            ("arn:aws:bedrock::123456789012:inference-profile/x", "no region"),
            ("arn:aws:s3:us-east-1:123456789012:bucket/x", "service"),
            ("arn:gcp:bedrock:us-east-1:123456789012:inference-profile/x", "partition"),
            ("arn:aws:bedrock:us-east-1:1234:inference-profile/x", "twelve digits"),
            ("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/x", "eu-west-1"),
        ];
        for (model, why) in bad {
            let e = check_model(model, "us-east-1").unwrap_err();
            assert!(e.message().contains(why), "{model}: {e}");
            assert_eq!(e.body().param.as_deref(), Some("model"));
        }
    }
}
