package main

import "maps"

// right is what the deployer may do with what.
type right struct {
	actions []string
	on      []string
}

// ARNs of the stack carrel. CloudFormation begins the names that it makes with the stack's name.
const (
	functions  = "arn:*:lambda:*:*:function:carrel-*"
	roles      = "arn:*:iam::*:role/carrel-*"
	logGroups  = "arn:*:logs:*:*:log-group:/carrel/*"
	pageBucket = "arn:*:s3:::carrel-pagefiles-*"
	samBucket  = "arn:*:s3:::aws-sam-cli-managed-default-*"
	everything = "*" // the resource's name is not known before it exists, or the action names no resource
)

// rightsOf are the rights that CloudFormation needs of the deployer for each resource type of the transformed template.
func rightsOf() map[string][]right {
	all := edgeRights()
	maps.Copy(all, workRights())
	return all
}

// edgeRights are those for the API, the page and sign-in.
func edgeRights() map[string][]right {
	gateway := []right{{[]string{"apigateway:GET", "apigateway:POST", "apigateway:PUT", "apigateway:PATCH",
		"apigateway:DELETE",
		"apigateway:TagResource", "apigateway:UntagResource"},
		[]string{"arn:*:apigateway:*::/apis", "arn:*:apigateway:*::/apis/*", "arn:*:apigateway:*::/account",
			"arn:*:apigateway:*::/tags/*"}}}
	return map[string][]right{
		"AWS::ApiGateway::Account": append(gateway, right{[]string{"iam:GetRole", "iam:PassRole"},
			[]string{roles}}),
		"AWS::ApiGatewayV2::Api":         gateway,
		"AWS::ApiGatewayV2::Authorizer":  gateway,
		"AWS::ApiGatewayV2::Integration": gateway,
		"AWS::ApiGatewayV2::Route":       gateway,
		"AWS::ApiGatewayV2::Stage":       gateway,
		"AWS::CloudFront::Distribution": {{[]string{"cloudfront:CreateDistribution*", "cloudfront:GetDistribution*",
			"cloudfront:UpdateDistribution",
			"cloudfront:DeleteDistribution", "cloudfront:TagResource", "cloudfront:UntagResource",
			"cloudfront:ListTagsForResource"}, []string{everything}}},
		"AWS::CloudFront::Function": {{[]string{"cloudfront:*Function", "cloudfront:TagResource",
			"cloudfront:UntagResource",
			"cloudfront:ListTagsForResource"}, []string{everything}}},
		"AWS::CloudFront::OriginAccessControl": {{[]string{"cloudfront:*OriginAccessControl"}, []string{everything}}},
		"AWS::CloudFront::ResponseHeadersPolicy": {{[]string{"cloudfront:*ResponseHeadersPolicy"},
			[]string{everything}}},
		"AWS::Cognito::UserPool": {{[]string{"cognito-idp:*UserPool", "cognito-idp:*UserPoolMfaConfig",
			"cognito-idp:AddCustomAttributes",
			"cognito-idp:TagResource", "cognito-idp:UntagResource", "cognito-idp:ListTagsForResource"},
			[]string{everything}}},
		"AWS::Cognito::UserPoolClient": {{[]string{"cognito-idp:*UserPoolClient",
			"cognito-idp:ListUserPoolClientSecrets"}, []string{everything}}},
		"AWS::Cognito::UserPoolDomain": {{[]string{"cognito-idp:*UserPoolDomain"}, []string{everything}}},
		"AWS::Cognito::UserPoolResourceServer": {{[]string{"cognito-idp:*ResourceServer",
			"cognito-idp:ListResourceServers"}, []string{everything}}},
		"AWS::S3::Bucket": {{[]string{"s3:CreateBucket", "s3:DeleteBucket", "s3:Get*", "s3:Put*Configuration",
			"s3:PutBucket*", "s3:ListBucket",
			"s3:ListTagsForResource", "s3:TagResource", "s3:UntagResource"}, []string{pageBucket}}},
		"AWS::S3::BucketPolicy": {{[]string{"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"},
			[]string{pageBucket}}},
	}
}

// workRights are those for the functions, their roles and logs, and the table.
func workRights() map[string][]right {
	rolePolicies := []string{"iam:GetRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy"}
	return map[string][]right{
		"AWS::CloudWatch::Alarm": {{[]string{"cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms",
			"cloudwatch:DescribeAlarms",
			"cloudwatch:ListTagsForResource", "cloudwatch:TagResource", "cloudwatch:UntagResource"},
			[]string{"arn:*:cloudwatch:*:*:alarm:*"}}},
		"AWS::CloudWatch::Dashboard": {{[]string{"cloudwatch:PutDashboard", "cloudwatch:GetDashboard",
			"cloudwatch:DeleteDashboards", "cloudwatch:ListTagsForResource", "cloudwatch:TagResource",
			"cloudwatch:UntagResource"},
			[]string{"arn:*:cloudwatch::*:dashboard/carrel-*"}}},
		"AWS::DynamoDB::Table": {{[]string{"dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:UpdateTable",
			"dynamodb:DeleteTable",
			"dynamodb:DescribeContinuousBackups", "dynamodb:UpdateContinuousBackups", "dynamodb:DescribeTimeToLive",
			"dynamodb:UpdateTimeToLive",
			"dynamodb:DescribeContributorInsights", "dynamodb:UpdateContributorInsights",
			"dynamodb:DescribeKinesisStreamingDestination",
			"dynamodb:GetResourcePolicy", "dynamodb:TagResource", "dynamodb:UntagResource",
			"dynamodb:ListTagsOfResource"},
			[]string{"arn:*:dynamodb:*:*:table/carrel-*"}}},
		"AWS::Events::Rule": {{[]string{"events:*Rule", "events:PutTargets", "events:RemoveTargets",
			"events:ListTargetsByRule",
			"events:TagResource", "events:UntagResource", "events:ListTagsForResource"},
			[]string{"arn:*:events:*:*:rule/carrel-*"}}},
		"AWS::IAM::Role": {{append([]string{"iam:CreateRole", "iam:GetRole", "iam:UpdateRole*", "iam:DeleteRole",
			"iam:UpdateAssumeRolePolicy",
			"iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
			"iam:TagRole",
			"iam:UntagRole"}, rolePolicies...), []string{roles}}},
		"AWS::IAM::RolePolicy":           {{rolePolicies, []string{roles}}},
		"AWS::Lambda::EventInvokeConfig": {{[]string{"lambda:*FunctionEventInvokeConfig*"}, []string{functions}}},
		"AWS::Lambda::Function": {
			{[]string{"lambda:CreateFunction", "lambda:GetFunction*", "lambda:UpdateFunction*",
				"lambda:DeleteFunction*", "lambda:PutFunction*",
				"lambda:*RuntimeManagementConfig", "lambda:TagResource", "lambda:UntagResource", "lambda:ListTags"},
				[]string{functions}},
			{[]string{"iam:PassRole"}, []string{roles}},
			{[]string{"s3:GetObject", "s3:GetObjectVersion"}, []string{samBucket}},
		},
		"AWS::Lambda::Permission": {{[]string{"lambda:AddPermission", "lambda:RemovePermission", "lambda:GetPolicy"},
			[]string{functions}}},
		"AWS::Logs::LogGroup": {
			{[]string{"logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy",
				"logs:DeleteRetentionPolicy", "logs:TagResource",
				"logs:UntagResource", "logs:ListTagsForResource", "logs:*DataProtectionPolicy", "logs:*IndexPolicy",
				"logs:DescribeIndexPolicies"}, []string{logGroups}},
			{[]string{"logs:DescribeLogGroups", "logs:DescribeResourcePolicies"}, []string{everything}},
		},
	}
}

// unneeded are permissions of CloudFormation's handlers for properties that the template does not use, as "type action"
// patterns, and why.
func unneeded() map[string]string {
	return map[string]string{
		"* kms:*": "AWS's own keys", "* ec2:*": "no VPC", "* elasticfilesystem:*": "no file system",
		"* s3files:*":  "no file system",
		"* s3tables:*": "no metadata table", "* firehose:*": "no delivery stream",
		"* s3:REST.PUT.OBJECT":                                    "not an action of IAM",
		"AWS::ApiGatewayV2::Api s3:getObject":                     "no body in S3",
		"AWS::ApiGatewayV2::* iam:PassRole":                       "functions are invoked by permission, not by a role",
		"AWS::CloudFront::Distribution *ConnectionGroup":          "no tenants",
		"AWS::CloudFront::Distribution *GetVpcOrigin":             "no VPC",
		"AWS::CloudFront::Distribution *WithStagingConfig":        "no staging",
		"AWS::Cognito::UserPool iam:*":                            "no text messages",
		"AWS::Cognito::UserPoolClient iam:*":                      "no analytics",
		"AWS::Cognito::UserPoolDomain cloudfront:*":               "no domain of one's own",
		"AWS::DynamoDB::Table *Replica":                           "one Region",
		"AWS::DynamoDB::Table *Item":                              "one Region",
		"AWS::DynamoDB::Table dynamodb:Query":                     "one Region",
		"AWS::DynamoDB::Table dynamodb:Scan":                      "one Region",
		"AWS::DynamoDB::Table *Import*":                           "no import",
		"AWS::DynamoDB::Table s3:*":                               "no import",
		"AWS::DynamoDB::Table logs:*":                             "no import",
		"AWS::DynamoDB::Table *ResourcePolicy":                    "no resource policy",
		"AWS::DynamoDB::Table *ableKinesisStreamingDestination":   "no stream",
		"AWS::DynamoDB::Table *UpdateKinesisStreamingDestination": "no stream",
		"AWS::DynamoDB::Table kinesis:*":                          "no stream",
		"AWS::DynamoDB::Table iam:CreateServiceLinkedRole":        "no replica",
		"AWS::Events::Rule iam:PassRole":                          "functions are invoked by permission, not by a role",
		"AWS::IAM::Role *PermissionsBoundary":                     "no boundary",
		"AWS::Lambda::Function *CodeSigningConfig":                "no signing",
		"AWS::Lambda::Function lambda:GetLayerVersion":            "no layer",
		"AWS::Lambda::Function lambda:PassCapacityProvider":       "no capacity provider",
		"AWS::Lambda::Function lambda:PublishVersion":             "no versions",
		"AWS::Lambda::Function lambda:AssociateRuntimeAlias":      "the runtime's default",
		"AWS::Logs::LogGroup *KmsKey":                             "AWS's own keys",
		"AWS::Logs::LogGroup *LogDelivery":                        "no delivery",
		"AWS::Logs::LogGroup *tResourcePolicy":                    "no resource policy",
		"AWS::Logs::LogGroup *DeleteResourcePolicy":               "no resource policy",
		"AWS::Logs::LogGroup logs:PutBearerTokenAuthentication":   "no bearer tokens",
		"AWS::Logs::LogGroup logs:PutLogGroupDeletionProtection":  "no protection",
		"AWS::S3::Bucket *MetadataTableConfiguration":             "no metadata table",
		"AWS::S3::Bucket s3:UpdateBucketMetadata*":                "no metadata table",
		"AWS::S3::Bucket s3:DeleteBucket?*":                       "nothing is taken from the bucket",
		"AWS::S3::Bucket s3:*Object*":                             "CloudFormation writes no objects",
		"AWS::S3::Bucket iam:PassRole":                            "no replication",
	}
}

// rightsOfCalls are the rights for the calls of make deploy itself, by command as the fakes know them. SAM's own are
// with sam package. A call that needs no right has none.
func rightsOfCalls() map[string][]right {
	stacks := []string{"arn:*:cloudformation:*:*:stack/carrel/*"}
	one := func(actions ...string) []right { return []right{{actions, stacks}} }
	read := one("cloudformation:DescribeStacks")
	return map[string][]right{
		"aws --version": nil, "aws configure get": nil, "aws sts get-caller-identity": nil, "sam build": nil,
		"aws apigateway get-account": {{[]string{"apigateway:GET"},
			[]string{"arn:*:apigateway:*::/account"}}},
		"aws logs describe-log-groups":             {{[]string{"logs:DescribeLogGroups"}, []string{everything}}},
		"aws lambda get-account-settings":          {{[]string{"lambda:GetAccountSettings"}, []string{everything}}},
		"aws cloudformation describe-stacks":       read,
		"aws cloudformation describe-stack-events": one("cloudformation:DescribeStackEvents"),
		"aws cloudformation get-stack-policy":      one("cloudformation:GetStackPolicy"),
		"aws cloudformation set-stack-policy":      one("cloudformation:SetStackPolicy"),
		"aws cloudformation create-change-set": {{[]string{"cloudformation:CreateChangeSet"},
			append(stacks, "arn:*:cloudformation:*:aws:transform/Serverless-2016-10-31")}, {[]string{"s3:GetObject"},
			[]string{samBucket}}},
		"aws cloudformation describe-change-set":             one("cloudformation:DescribeChangeSet"),
		"aws cloudformation delete-change-set":               one("cloudformation:DeleteChangeSet"),
		"aws cloudformation execute-change-set":              one("cloudformation:ExecuteChangeSet"),
		"aws cloudformation delete-stack":                    one("cloudformation:DeleteStack"),
		"aws cloudformation wait change-set-create-complete": one("cloudformation:DescribeChangeSet"),
		"aws cloudformation wait stack-create-complete":      read,
		"aws cloudformation wait stack-update-complete":      read,
		"aws cloudformation wait stack-delete-complete":      read,
		"aws s3 cp": {{[]string{"s3:PutObject", "s3:ListBucket"}, []string{pageBucket,
			samBucket}}},
		"aws cloudfront create-invalidation": {{[]string{"cloudfront:CreateInvalidation"}, []string{everything}}},
		"sam package": {
			{[]string{"cloudformation:DescribeStacks", "cloudformation:CreateChangeSet",
				"cloudformation:DescribeChangeSet", "cloudformation:ExecuteChangeSet",
				"cloudformation:DescribeStackEvents", "cloudformation:GetTemplate*"},
				[]string{"arn:*:cloudformation:*:*:stack/aws-sam-cli-managed-default/*"}},
			{[]string{"s3:CreateBucket", "s3:GetBucket*", "s3:PutBucket*", "s3:PutEncryptionConfiguration",
				"s3:PutLifecycleConfiguration", "s3:GetObject",
				"s3:PutObject", "s3:ListBucket"}, []string{samBucket}},
		},
	}
}
