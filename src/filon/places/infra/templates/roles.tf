# Least privilege: no "*" where AWS takes a narrower resource. `filon` writes policies/ and its tests hold them to that.

resource "aws_iam_role" "service" {
  name               = "${var.name}-emr-service"
  description        = "What EMR may do for ${var.name}: start, tag, scale and end the nodes of its clusters."
  assume_role_policy = templatefile("${path.module}/policies/service_trust.json", local.scope)
  tags               = local.tags
}

resource "aws_iam_role_policy" "service" {
  name   = "emr-service"
  role   = aws_iam_role.service.id
  policy = templatefile("${path.module}/policies/service.json", local.scope)
}

resource "aws_iam_role" "nodes" {
  name               = "${var.name}-emr-nodes"
  description        = "What a job of ${var.name} may do: read its data, write under its prefix."
  assume_role_policy = templatefile("${path.module}/policies/nodes_trust.json", local.scope)
  tags               = local.tags
}

resource "aws_iam_role_policy" "nodes" {
  name   = "emr-nodes"
  role   = aws_iam_role.nodes.id
  policy = templatefile("${path.module}/policies/nodes.json", local.scope)
}

resource "aws_iam_instance_profile" "nodes" {
  name = "${var.name}-emr-nodes"
  role = aws_iam_role.nodes.name
  tags = local.tags
}

# what a job on EMR Serverless may do (places.emr.serverless = true); a role costs nothing where it is not used
resource "aws_iam_role" "serverless" {
  name               = "${var.name}-emr-serverless"
  description        = "What a job of ${var.name} on EMR Serverless may do: read its data, write under its prefix."
  assume_role_policy = templatefile("${path.module}/policies/serverless_trust.json", local.scope)
  tags               = local.tags
}

resource "aws_iam_role_policy" "serverless" {
  name   = "emr-serverless"
  role   = aws_iam_role.serverless.id
  policy = templatefile("${path.module}/policies/serverless.json", local.scope)
}

# for whoever runs `filon train --on emr`: attach it to their user or role
resource "aws_iam_policy" "caller" {
  name        = "${var.name}-emr-caller"
  description = "What a person who trains ${var.name} on EMR needs."
  policy      = templatefile("${path.module}/policies/caller.json", local.scope)
  tags        = local.tags
}
