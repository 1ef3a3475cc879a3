output "emr_cluster_id" {
  value       = var.cluster ? aws_emr_cluster.filon[0].id : ""
  description = "places.emr.cluster_id of the recipe; empty: a cluster for each job."
}

output "emr_primary_dns" {
  value       = var.cluster ? aws_emr_cluster.filon[0].master_public_dns : ""
  description = "Name of the primary node."
}

output "bucket" {
  value       = "s3://${var.bucket}${var.prefix == "" ? "" : "/${var.prefix}"}"
  description = "places.emr.bucket of the recipe."
}

output "log_uri" {
  value       = local.log_uri
  description = "Where EMR writes logs."
}

output "subnet" {
  value       = local.subnet
  description = "places.emr.subnet of the recipe, for a cluster for each job."
}

output "service_role" {
  value       = aws_iam_role.service.name
  description = "places.emr.service_role of the recipe, for a cluster for each job."
}

output "instance_profile" {
  value       = aws_iam_instance_profile.nodes.name
  description = "places.emr.instance_profile of the recipe, for a cluster for each job."
}

output "execution_role" {
  value       = aws_iam_role.serverless.name
  description = "places.emr.execution_role of the recipe, for jobs on EMR Serverless."
}

output "security_groups" {
  value = {
    primary = aws_security_group.primary.id
    nodes   = aws_security_group.nodes.id
    service = local.private ? aws_security_group.service[0].id : ""
  }
  description = "Security groups of the nodes, and of EMR itself where the subnet is private."
}

output "caller_policy" {
  value       = aws_iam_policy.caller.arn
  description = "Attach it to whoever trains."
}

output "budget_topic" {
  value       = aws_sns_topic.budget.arn
  description = "Alerts of the budget."
}
