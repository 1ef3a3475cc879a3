locals {
  log_uri = "s3://${var.bucket}/${local.scope.prefix}logs/"
}

resource "aws_emr_cluster" "filon" {
  count                             = var.cluster ? 1 : 0
  name                              = "${var.name}-ml-cluster"
  release_label                     = var.release
  applications                      = ["Hadoop", "Spark"]
  service_role                      = aws_iam_role.service.arn
  log_uri                           = local.log_uri
  keep_job_flow_alive_when_no_steps = true
  termination_protection            = false
  scale_down_behavior               = "TERMINATE_AT_TASK_COMPLETION"
  step_concurrency_level            = 1
  visible_to_all_users              = true
  tags                              = local.tags

  ec2_attributes {
    subnet_id                         = local.subnet
    instance_profile                  = aws_iam_instance_profile.nodes.arn
    emr_managed_master_security_group = aws_security_group.primary.id
    emr_managed_slave_security_group  = aws_security_group.nodes.id
    service_access_security_group     = local.private ? aws_security_group.service[0].id : null
  }

  master_instance_group {
    name           = "primary"
    instance_type  = var.primary_type
    instance_count = 1
    ebs_config {
      type                 = "gp3"
      size                 = var.primary_disk_gib
      volumes_per_instance = 1
    }
  }

  core_instance_group {
    name           = "core"
    instance_type  = var.core_type
    instance_count = var.core_count
    ebs_config {
      type                 = "gp3"
      size                 = var.core_disk_gib
      volumes_per_instance = 2
    }
  }

  bootstrap_action {
    name = "ready for filon"
    path = "s3://${var.bucket}/${aws_s3_object.bootstrap.key}"
    args = [var.release]
  }

  auto_termination_policy {
    idle_timeout = var.idle_minutes * 60
  }

  configurations_json = jsonencode([
    { Classification = "spark", Properties = { maximizeResourceAllocation = "true" } },
    { Classification = "spark-defaults", Properties = var.spark_conf },
    # a job's driver on core nodes only, which nobody takes back; EMR 6 and newer would place it on a spot node too
    {
      Classification = "yarn-site"
      Properties = {
        "yarn.node-labels.enabled"                          = "true"
        "yarn.node-labels.am.default-node-label-expression" = "CORE"
      }
    },
  ])

  lifecycle {
    ignore_changes = [step] # steps are `filon train`'s; a list of them here would end and replace the cluster
  }

  depends_on = [
    aws_iam_role_policy.service,
    aws_iam_role_policy.nodes,
    aws_vpc_security_group_egress_rule.primary,
    aws_vpc_security_group_egress_rule.nodes,
    aws_vpc_security_group_egress_rule.service,
    aws_vpc_security_group_ingress_rule.service,
    aws_vpc_security_group_ingress_rule.ssh,
    aws_route.out,
    aws_route_table_association.filon,
    aws_vpc_endpoint.s3,
    aws_s3_bucket_policy.filon,
  ]
}

resource "aws_emr_instance_group" "task" {
  count          = var.cluster && (var.task_count > 0 || var.task_max > 0) ? 1 : 0
  name           = "task"
  cluster_id     = aws_emr_cluster.filon[0].id
  instance_type  = var.task_type
  instance_count = max(1, var.task_count)              # the provider makes no empty group: a 0 would be one node too
  bid_price      = var.task_spot ? var.task_bid : null # without a sum the provider asks for on-demand nodes

  ebs_config {
    type                 = "gp3"
    size                 = var.core_disk_gib
    volumes_per_instance = 1
  }

  lifecycle {
    ignore_changes = [instance_count, bid_price] # scaling's business once it exists
  }
}

resource "aws_emr_managed_scaling_policy" "filon" {
  count      = var.cluster && var.task_max > 0 ? 1 : 0
  cluster_id = aws_emr_cluster.filon[0].id

  compute_limits {
    unit_type                       = "Instances"
    minimum_capacity_units          = var.core_count
    maximum_capacity_units          = var.core_count + var.task_max
    maximum_core_capacity_units     = var.core_count
    maximum_ondemand_capacity_units = var.task_spot ? var.core_count : var.core_count + var.task_max
  }

  depends_on = [aws_emr_instance_group.task]
}
